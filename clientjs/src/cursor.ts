// How far a connection has read its actor's log, and how far the server knows that.
import { ACK_MS } from "./timing.js";

/** Acknowledges events up to position s, and answers up to call id ack. */
export interface Acks {
  s?: number;
  ack?: number;
}

/** The position of one connection in its actor's log. */
export interface Cursor {
  /** The identity of the log; undefined until the connection was opened once, and when that log is gone. */
  log(): string | undefined;
  /** The connection was opened at position seq of a log, possibly a new one. Without a log, the next open does not resume. */
  open(log?: string, seq?: number): void;
  /** A message with position seq arrived. */
  advance(seq: number): void;
  /** Fields of an open message: where to resume. */
  resume(): { log?: string | undefined; s?: number | undefined; ack?: number | undefined };
  /** Fields of a call or ack message: the acknowledgements that the server does not have yet. They count as sent. */
  acks(): Acks;
  /** The channel is gone: no acknowledgement is due. */
  stop(): void;
}

/**
 * Creates a cursor at no position. ackedId returns the highest call id up to which every call was
 * answered; onAckDue is called some time after a message arrived, to send acks.
 */
export function createCursor(ackedId: () => number, onAckDue: () => void): Cursor {
  let log: string | undefined;
  let seq = 0;
  // What the server knows.
  let ackedSeq = 0;
  let ackedCall = 0;
  let ackTimer: ReturnType<typeof setTimeout> | undefined;

  return {
    log: () => log,
    open(newLog, start = 0) {
      log = newLog;
      ackedSeq = seq = start;
    },
    advance(next) {
      seq = Math.max(seq, next);
      ackTimer ??= setTimeout(() => {
        ackTimer = undefined;
        onAckDue();
      }, ACK_MS);
    },
    resume() {
      ackedCall = ackedId();
      return { log, s: log ? seq : undefined, ack: ackedCall || undefined };
    },
    acks() {
      const acks: Acks = {};
      if (seq > ackedSeq) acks.s = ackedSeq = seq;
      if (ackedId() > ackedCall) acks.ack = ackedCall = ackedId();
      return acks;
    },
    stop() {
      clearTimeout(ackTimer);
      ackTimer = undefined;
    },
  };
}
