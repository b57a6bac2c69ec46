import { ActorError } from "@troupe/client";

/** Returns a text that says why something was not done: `failure("sent", error)`. */
export function failure(done: string, error: unknown): string {
  const code = error instanceof ActorError ? error.code : "";
  if (code === "not_sent") return `Not ${done}: there was no connection.`;
  if (code === "maybe_ran") return `No answer arrived: it may have been ${done}.`;
  return `Not ${done}: ${error instanceof Error ? error.message : String(error)}.`;
}
