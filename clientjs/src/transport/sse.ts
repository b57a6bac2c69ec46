// Links over plain HTTP, for networks that block WebSockets. Frames arrive in a
// stream of server-sent events, or in responses to polls where a proxy buffers
// streams. Frames are sent in POSTs, one at a time. See backend/wire/doc.go.
import type { Fetch, Tools } from "../http.js";
import type { Transport } from "./websocket.js";

/** A stream that is silent for this long is buffered by a proxy. */
const STREAM_SILENCE_MS = 2_000;
/** After a stream was buffered, links poll for this long. */
const BUFFERED_MS = 300_000;

/** Streams and waiting polls of all tabs at one server. Browsers allow six connections over HTTP/1.1. */
const SLOTS = 4;
/** How long a poll waits at the server: with a slot, and without one while a reply is expected. */
const LONG_POLL_MS = 20_000;
const SHORT_POLL_MS = 500;
/** Time between two polls without a slot: in a visible tab, and in a hidden one. */
const POLL_INTERVAL_MS = 1_000;
const HIDDEN_POLL_INTERVAL_MS = 5_000;
/** How often a POST without a response is tried. The server accepts each batch once. */
const POST_ATTEMPTS = 4;
const POST_TIMEOUT_MS = 10_000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/**
 * Acquires one of the browser's slots for this server; returns the function that releases it, or undefined if all
 * are taken. The browser releases the slots of a tab that is closed.
 */
async function acquireSlot(base: string): Promise<(() => void) | undefined> {
  const locks = typeof document === "object" ? navigator.locks : undefined;
  let slot = locks ? undefined : () => {};
  for (let i = 0; i < SLOTS && !slot; i++) {
    slot = await new Promise<(() => void) | undefined>((resolve) => {
      locks!
        .request(`troupe ${base} ${i}`, { ifAvailable: true }, (lock) =>
          lock ? new Promise<void>((free) => resolve(free)) : resolve(undefined),
        )
        .catch(() => resolve(() => {})); // locks are refused to this page: it is not limited
    });
  }
  return slot;
}

/** Creates a transport over server-sent events and POSTs, or over polls and POSTs. */
export function sseTransport(http: Fetch, { byteLength, now }: Pick<Tools, "byteLength" | "now">): Transport {
  let pollUntil = 0;

  return (base, events) => {
    const closing = new AbortController();
    const stream = new AbortController();
    const url = `${base}/api/stream`;
    let slot: (() => void) | undefined;
    /** The socket's id at the server. It is a secret: anyone who knows it can use the socket. */
    let id: string | undefined;
    let limit = 0;

    let queue: string[] = [];
    let batchNumber = 0;
    let pollNumber = 0;
    let posting = false;
    let closed = false;
    let expectsReply = false;
    let pollNow = () => {};

    const stop = () => {
      closing.abort();
      stream.abort();
      queue = [];
      slot?.();
    };
    const end = (why: unknown) => {
      if (closing.signal.aborted) return;
      stop();
      events.end(String(why));
    };

    const receive = (text: string) => {
      if (closing.signal.aborted) return;
      if (!id) {
        const [hello] = [JSON.parse(text)].flat();
        id = hello.socket;
        limit = hello.limits?.frame;
      }
      events.frame(text);
    };

    /** Returns the response if its status is a success; else passes the error on and throws. */
    const checked = async (request: Promise<Response>): Promise<Response> => {
      const response = await request;
      if (response.ok) return response;
      const problem = await response.json().catch(() => ({}));
      if (problem.code && !closing.signal.aborted) events.frame(JSON.stringify({ ...problem, t: "error" }));
      throw `status ${response.status}`;
    };

    const read = async () => {
      const { body } = await checked(http(`${url}?v=1`, undefined, { signal: stream.signal }));
      const reader = body!.getReader();
      const decoder = new TextDecoder();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw "stream ended";
        const lines = (text + decoder.decode(value, { stream: true })).split("\n");
        text = lines.pop()!;
        for (const line of lines) {
          if (line.startsWith("data:")) receive(line.slice(5));
          else if (id && line[0] === ":") receive("[]"); // a comment keeps the link alive
        }
      }
    };

    const poll = async () => {
      // Frames in a lost response are lost, too: the connections get them by resuming. The number lets the
      // server recognize a request that the browser repeated by itself.
      const waitMs = slot ? LONG_POLL_MS : expectsReply ? SHORT_POLL_MS : 0;
      expectsReply = false;
      const answer = await checked(
        http(`${base}/api/poll`, JSON.stringify({ socket: id, n: ++pollNumber, waitMs }), { signal: closing.signal }),
      );
      const text = await answer.text();
      receive(text);
      if (!slot && !expectsReply) {
        const interval = sleep(globalThis.document?.hidden ? HIDDEN_POLL_INTERVAL_MS : POLL_INTERVAL_MS);
        await Promise.race([interval, new Promise<void>((resolve) => (pollNow = resolve))]);
      } else if (text.length < 3) await sleep(100); // do not flood a server that responds at once with nothing
    };

    /** Acquires a slot if one is free. Throws if the link was closed meanwhile. */
    const claimSlot = async () => {
      slot ??= await acquireSlot(base);
      if (!closing.signal.aborted) return;
      slot?.();
      throw "closed";
    };

    const run = async () => {
      await claimSlot();
      // React Native's fetch has no streams.
      const canStream = typeof TextDecoder === "function" && typeof ReadableStream === "function";
      if (slot && canStream && now() >= pollUntil) {
        const timer = setTimeout(() => id || stream.abort(), STREAM_SILENCE_MS);
        try {
          await read();
        } catch (why) {
          if (id || !stream.signal.aborted) throw why;
        } finally {
          clearTimeout(timer);
        }
        await poll();
        pollUntil = now() + BUFFERED_MS;
      }
      for (;;) {
        await poll();
        await claimSlot();
      }
    };

    /** Sends the queued frames in batches, one after the other, because batches must not overtake each other. */
    const post = async () => {
      posting = true;
      while (queue.length) {
        const batch: string[] = [];
        for (let size = 2; queue[0];) {
          size += byteLength(queue[0]);
          if (batch[0] && size > limit) break;
          const text = queue.shift()!;
          batch.push(text[0] === "[" ? text.slice(1, -1) : text);
        }
        const body = `{"socket":"${id}","n":${++batchNumber},"frame":[${batch}]}`;
        for (let attempts = 1; ; attempts++) {
          let why: unknown;
          const timeout = new AbortController();
          const timer = setTimeout(() => timeout.abort(), POST_TIMEOUT_MS);
          // With keepalive a page that is being unloaded can still send small requests.
          const init = { keepalive: body.length < 20_000, signal: timeout.signal };
          const answer = await http(url, body, init).catch((error) => void (why = error));
          clearTimeout(timer);
          if (answer?.ok) break;
          const status = answer?.status ?? 500;
          if (attempts === POST_ATTEMPTS || closed || (status < 500 && status !== 429)) end(why ?? `status ${status}`);
          if (closing.signal.aborted) return;
          await sleep(250 * attempts);
        }
        expectsReply = true;
        pollNow();
      }
      posting = false;
      if (closed) stop();
    };

    run().catch(end);
    return {
      send(frame) {
        queue.push(frame);
        if (!posting) void post();
      },
      close() {
        closed = true;
        if (!posting) stop();
      },
    };
  };
}
