import { createClient } from "@troupe/client";
import { createHooks, useActorState } from "@troupe/react";
import type { registry } from "./registry.gen";

const { useActor } = createHooks(createClient<typeof registry>());

/** Who is in a room. While this is mounted, so are you, under a name. */
export function Presence({ room, name }: { room: string; name: string }) {
  const actor = useActor({ name: "room", key: [room], params: { name } });
  const { state: people = [] } = useActorState(actor, {
    load: (connection) => connection.people(),
    on: { peopleChanged: (_, { people }) => people },
  });
  return (
    <section>
      <h1>{actor.isConnected ? `In ${room}: ${people.length}` : "Connecting…"}</h1>
      <ul>
        {people.map((person) => (
          <li key={person.id}>{person.away ? `${person.name} (away)` : person.name}</li>
        ))}
      </ul>
    </section>
  );
}
