import { createClient } from "@troupe/client";
import { LikeButton } from "./LikeButton";
import type { registry } from "./registry.gen";

// A server component: it calls actions over HTTP, and opens no connection.
const client = createClient<typeof registry>(process.env.TROUPE_URL ?? "http://localhost:8080");

// For each request, not once in the build. (With cacheComponents, a <Suspense> around a component that calls does that.)
export const dynamic = "force-dynamic";

export default async function Page() {
  const total = await client.likes.getOrCreate(["hello"]).total();
  return (
    <main>
      <h1>Hello</h1>
      <LikeButton post="hello" initial={total} />
    </main>
  );
}
