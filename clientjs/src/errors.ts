import type { WireError } from "./wire.js";

/** The codes of Troupe itself, which `backend/wire/codes.go` explains. Actors add their own. */
// oxfmt-ignore
export type Code =
  | "malformed" | "unknown_type" | "unknown_channel" | "channel_in_use" | "bad_key" | "bad_secret"
  | "unknown_actor" | "unknown_action" | "unknown_event" | "invalid_args" | "invalid_params"
  | "unknown_socket" | "out_of_order" | "invalid_input" | "not_found" | "exists" | "unauthorized" | "forbidden" | "bad_origin"
  | "too_large" | "rate_limited" | "overloaded" | "too_many_channels" | "too_many_sockets" | "too_deep"
  | "internal_error" | "timeout" | "unavailable" | "read_only" | "connection_required"
  | "state_incompatible" | "ran" | "idempotency_mismatch"
  | "replaced" | "disconnected" | "destroyed" | "identity" | "slow" | "shutdown" | "moved"
  | "not_sent" | "maybe_ran" | "link" | "protocol" | "params_failed"
  | (string & {});

/**
 * The one error type: a failed action rejects with it, and the lifecycle events `error` and `closed` carry it.
 *
 * Two codes are for calls that the client gave up: `not_sent` (the action did not run) and `maybe_ran` (it was
 * sent, but no answer arrived). Their `metadata.reason` is `timeout`, `aborted`, `closed`, `queue`, `link`, `headers`,
 * or `crash`: three links in a row ended within a second after the call was sent on them. Their message and `cause` tell
 * more, for example with which error the server closed the connection.
 *
 * `destroyed` is the error of a connection whose actor was destroyed, and of its calls that did not run.
 */
export class ActorError extends Error {
  override readonly name = "ActorError";

  constructor(
    /** What went wrong, for programs: a stable name in snake_case. */
    readonly code: Code,
    /** What went wrong, for people. */
    message: string,
    /** Details from the action or from Troupe. */
    readonly metadata?: unknown,
    options?: { cause?: unknown },
  ) {
    super(message, options as ErrorOptions);
  }

  /** What JSON.stringify writes, which leaves the message of an Error out otherwise. */
  toJSON(): { name: string; code: string; message: string; metadata?: unknown } {
    return { ...this, message: this.message };
  }
}

/** The error that a message of the server describes. */
export function errorFrom({ code, message, metadata }: WireError): ActorError {
  return new ActorError(code, message, metadata);
}

/** How many milliseconds the server asks to wait before the next attempt; 0 if it does not ask. */
export const retryAfterMs = ({ metadata }: ActorError): number =>
  (metadata as { retryAfterMs?: number } | undefined)?.retryAfterMs ?? 0;

/** The error of a call that the client gave up: `maybe_ran` if it was sent, else `not_sent`. Its message tells the cause. */
export function abandonedError(sent: boolean, reason: string, cause?: unknown): ActorError {
  const why = cause instanceof ActorError ? `${cause.code}: ${cause.message}` : cause;
  return new ActorError(
    sent ? "maybe_ran" : "not_sent",
    `${sent ? "no answer: the call may have run" : "the call was not sent"} (${reason})` +
      (why === undefined ? "" : `: ${why}`),
    { reason },
    { cause },
  );
}

/** Runs user code. What it throws is reported to the page's error handlers. */
export function guarded<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch (error) {
    // Outside of pages it is logged: there, reportError may be missing, or end the process.
    (typeof document === "object" && typeof reportError === "function" ? reportError : console.error)(error);
    return undefined;
  }
}

/** An ActorError as it is; anything else as the cause of one. */
export const asActorError = (code: Code, who: string, cause: unknown): ActorError =>
  cause instanceof ActorError ? cause : new ActorError(code, `${who} failed: ${cause}`, undefined, { cause });
