import { ActorError } from "@troupe/client";

/** Why something was not done, for people: `failure("sent", error)`. */
export function failure(done: string, error: unknown): string {
  const code = error instanceof ActorError ? error.code : "";
  if (code === "not_sent") return `Not ${done}: there was no connection.`;
  if (code === "maybe_ran") return `No answer came: it may have been ${done}.`;
  return `Not ${done}: ${error instanceof Error ? error.message : String(error)}.`;
}
