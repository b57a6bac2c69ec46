// Code generated from the Go package github.com/troupe-dev/troupe/examples/presence (go generate ./...). DO NOT EDIT.

/** PeopleChanged says who is here now. */
export interface PeopleChanged {
  people: Person[];
}

/** Person is someone who is here, once for each of their tabs. */
export interface Person {
  /** of the connection */
  id: string;
  name: string;
  /** the link is lost, and may come back */
  away: boolean;
}

/** Visitor is the state of a connection, and what a client passes to connect(). */
export interface Visitor {
  name: string;
}

/** The actors of the server, by name: their actions, events, params and input. */
export interface Registry {
  /**
   * Room is a room with people in it. Who is here is not state of the room: it is its
   * connections.
   */
  room: {
    actions: {
      /** people returns who is here. */
      people(): Person[];
    };
    events: {
      /** peopleChanged says who is here now. */
      peopleChanged: PeopleChanged;
    };
    params: Visitor;
    input: undefined;
  };
}

/** The registry for `createClient<typeof registry>(url, { registry })`. The client compares its fingerprints with the server's. */
export const registry = {
  "~contract": "MTSumyASIRDeue-w",
  "~parts": [
    "room.connect():z-G8",
    "room.on(peopleChanged):W9JJ",
    "room.people():emfz",
  ],
} as unknown as Registry;
