"use client";

import { createClient } from "@troupe/client";
import { createHooks, useActorState } from "@troupe/react";
import type { registry } from "./registry.gen";

const client = createClient<typeof registry>(process.env.NEXT_PUBLIC_TROUPE_URL ?? "http://localhost:8080");
const { useActor } = createHooks(client);

/** A button with a live count: first that of the server component, then the actor's. */
export function LikeButton({ post, initial }: { post: string; initial: number }) {
  const likes = useActor({ name: "likes", key: [post] });
  const { state = initial } = useActorState(likes, {
    load: (connection) => connection.total(),
    on: { liked: (_, { count }) => count },
  });
  return (
    <button type="button" onClick={() => likes.connection?.like()}>
      ♥ {state}
    </button>
  );
}
