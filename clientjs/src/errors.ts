import type { Problem } from "./wire.js";

/**
 * Codes of Troupe itself; actions and hooks of actors add their own. The table
 * with their meanings is `backend/wire/codes.go`.
 */
export type Code =
  | "malformed" | "unknown_type" | "unknown_channel" | "channel_in_use" | "bad_key" | "bad_secret"
  | "unknown_actor" | "unknown_action" | "unknown_event" | "invalid_args" | "invalid_params"
  | "unknown_socket" | "out_of_order" | "invalid_input" | "not_found" | "exists" | "unauthorized" | "forbidden" | "bad_origin"
  | "too_large" | "rate_limited" | "overloaded" | "too_many_channels" | "too_many_sockets"
  | "internal_error" | "timeout" | "unavailable" | "read_only" | "connection_required"
  | "state_incompatible" | "ran"
  | "replaced" | "disconnected" | "slow" | "shutdown"
  | "not_sent" | "maybe_ran" | "link" | "protocol"
  | (string & {});

/**
 * Everything that goes wrong, in one type: a failed action rejects with it, the
 * lifecycle events `error` and `closed` carry it.
 *
 * Two codes are about calls that the client gave up on: `not_sent` (the action
 * did not run) and `maybe_ran` (it was sent, no answer came). Their
 * `metadata.reason` says why: `timeout`, `aborted`, `closed`, `queue` or `link`.
 */
export class ActorError extends Error {
  override readonly name = "ActorError";

  constructor(
    /** What went wrong, for programs: stable and in snake_case. */
    readonly code: Code,
    /** What went wrong, for people. */
    message: string,
    /** Details, as the action or Troupe gave them. */
    readonly metadata?: unknown,
    options?: { cause?: unknown },
  ) {
    super(message, options as ErrorOptions);
  }
}

/** The error that the server sent. */
export function errorFrom({ code, message, metadata }: Problem): ActorError {
  return new ActorError(code, message, metadata);
}

/** How long the server asks to wait before the next attempt; 0 if it does not. */
export const retryAfterMs = ({ metadata }: ActorError): number =>
  (metadata as { retryAfterMs?: number } | undefined)?.retryAfterMs ?? 0;

/** The error of a call that the client gives up on. */
export function abandonedError(sent: boolean, reason: string, cause?: unknown): ActorError {
  return new ActorError(
    sent ? "maybe_ran" : "not_sent",
    sent ? `the call was sent but not answered (${reason}): it may have run` : `the call was not sent (${reason})`,
    { reason },
    { cause },
  );
}

/** Reports what no listener took: to the page's error handlers, else to the console. */
export function reportUncaught(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
