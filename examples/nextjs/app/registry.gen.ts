// Code generated from the Go package github.com/troupe-dev/troupe/examples/nextjs/backend (go generate ./...). DO NOT EDIT.

/** Liked is an event with the new count. */
export type Liked = Likes;

/** Likes counts how many people like a post, which is the key: likes ["hello"]. */
export interface Likes {
  count: number;
}

/** The actors of the server, by name: their actions, events, params and input. */
export interface Registry {
  /** Likes counts how many people like a post, which is the key: likes ["hello"]. */
  likes: {
    actions: {
      /** like counts one more. */
      like(): number;
      /** total returns the count. */
      total(): number;
    };
    events: {
      /** liked is an event with the new count. */
      liked: Liked;
    };
    params: undefined;
    input: undefined;
  };
}

/** The registry for `createClient<typeof registry>(url, { registry })`. The client compares its fingerprints with the server's. */
export const registry = {
  "~contract": "0bsz8i6fRpVVajOd",
  "~parts": [
    "likes.like():vP_8",
    "likes.on(liked):Y8NQ",
    "likes.total():vP_8",
  ],
} as unknown as Registry;
