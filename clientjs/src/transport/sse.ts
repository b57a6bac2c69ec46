// Links over plain HTTP, for places where WebSockets are blocked. Frames come as
// a stream of server-sent events, or as answers to polls where a proxy holds
// streams back; frames go in POSTs, one at a time. See backend/wire/doc.go.
import { byteLength } from "../limits.js";
import type { Transport } from "./websocket.js";

/** A request: GET without a body, else POST of JSON. Rejects if no answer came. */
export type Http = (url: string, body: string | undefined, init: RequestInit) => Promise<Response>;

/** A stream that says nothing for so long is held back by a proxy, a WebSocket by what blocks it. */
export const SILENT_MS = 2_000;
/** For so long what was found to be blocked is not tried first again. */
export const BLOCKED_MS = 300_000;

/** Streams and waiting polls that all tabs hold at one server: browsers allow six connections over HTTP/1.1. */
const SLOTS = 4;
/** How long a poll waits at the server, with a slot, and without one if it expects an answer. */
const WAIT_MS = 20_000;
const SHORT_WAIT_MS = 500;
/** Time between polls without a slot, and if nobody looks. */
const PACE_MS = 1_000;
const HIDDEN_PACE_MS = 5_000;
/** A POST that gets no answer is repeated so often: the server takes a batch once. */
const TRIES = 4;
const POST_MS = 10_000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Takes one of the browser's slots for this server; undefined if all are taken. A tab that ends gives its own back. */
async function takeSlot(base: string): Promise<(() => void) | undefined> {
  const locks = typeof document === "object" ? navigator.locks : undefined;
  let slot = locks ? undefined : () => {};
  for (let i = 0; i < SLOTS && !slot; i++) {
    slot = await new Promise<(() => void) | undefined>((resolve) => {
      locks!
        .request(`troupe ${base} ${i}`, { ifAvailable: true }, (lock) =>
          lock ? new Promise<void>((free) => resolve(free)) : resolve(undefined),
        )
        .catch(() => resolve(() => {})); // not for pages of this kind: without a limit, then
    });
  }
  return slot;
}

/** Links over server-sent events and POSTs, or over polls and POSTs. */
export function sseTransport(http: Http): Transport {
  let pollUntil = 0;

  return (base, events) => {
    const over = new AbortController();
    const stream = new AbortController();
    const url = `${base}/api/stream`;
    let slot: (() => void) | undefined;
    /** The socket's id at the server: whoever has it is the client. */
    let id: string | undefined;
    let limit = 0;

    let waiting: string[] = [];
    let n = 0;
    let polls = 0;
    let posting = false;
    let closed = false;
    let asked = false;
    let hasten = () => {};

    const stop = () => {
      over.abort();
      stream.abort();
      waiting = [];
      slot?.();
    };
    const end = (why: unknown) => {
      if (over.signal.aborted) return;
      stop();
      events.end(String(why));
    };

    const take = (text: string) => {
      if (over.signal.aborted) return;
      if (!id) {
        const [hello] = [JSON.parse(text)].flat();
        id = hello.socket;
        limit = hello.limits?.frame;
      }
      events.frame(text);
    };

    /** The answer, if the server did what it was asked for. */
    const granted = async (answer: Promise<Response>): Promise<Response> => {
      const response = await answer;
      if (response.ok) return response;
      const problem = await response.json().catch(() => ({}));
      if (problem.code && !over.signal.aborted) events.frame(JSON.stringify({ ...problem, t: "error" }));
      throw `status ${response.status}`;
    };

    const read = async () => {
      const { body } = await granted(http(`${url}?v=1`, undefined, { signal: stream.signal }));
      const reader = body!.getReader();
      const decoder = new TextDecoder();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw "the stream ended";
        const lines = (text + decoder.decode(value, { stream: true })).split("\n");
        text = lines.pop()!;
        for (const line of lines) {
          if (line.startsWith("data:")) take(line.slice(5));
          else if (id && line[0] === ":") take("[]"); // a comment says that the link is alive
        }
      }
    };

    const poll = async () => {
      // An answer that is lost was lost with what is in it: only a resume brings that.
      // The number is for browsers, who repeat a request by themselves at times.
      const waitMs = slot ? WAIT_MS : asked ? SHORT_WAIT_MS : 0;
      asked = false;
      const answer = await granted(
        http(`${base}/api/poll`, JSON.stringify({ socket: id, n: ++polls, waitMs }), { signal: over.signal }),
      );
      const text = await answer.text();
      take(text);
      if (!slot && !asked) {
        const pace = sleep(document.hidden ? HIDDEN_PACE_MS : PACE_MS);
        await Promise.race([pace, new Promise<void>((resolve) => (hasten = resolve))]);
      } else if (text.length < 3) await sleep(100); // who answers at once with nothing is not to be flooded
    };

    /** Takes a slot if there is one; the link may be over by then. */
    const claim = async () => {
      slot ??= await takeSlot(base);
      if (!over.signal.aborted) return;
      slot?.();
      throw "closed";
    };

    const run = async () => {
      await claim();
      if (slot && performance.now() >= pollUntil) {
        const timer = setTimeout(() => id || stream.abort(), SILENT_MS);
        try {
          await read();
        } catch (why) {
          if (id || !stream.signal.aborted) throw why;
        } finally {
          clearTimeout(timer);
        }
        await poll();
        pollUntil = performance.now() + BLOCKED_MS;
      }
      for (;;) {
        await poll();
        await claim();
      }
    };

    /** Sends what waits, in batches that must not overtake one another. */
    const post = async () => {
      posting = true;
      while (waiting.length) {
        const batch: string[] = [];
        for (let size = 2; waiting[0]; ) {
          size += byteLength(waiting[0]);
          if (batch[0] && size > limit) break;
          const text = waiting.shift()!;
          batch.push(text[0] === "[" ? text.slice(1, -1) : text);
        }
        const body = `{"socket":"${id}","n":${++n},"frame":[${batch}]}`;
        for (let tries = 1; ; tries++) {
          let why: unknown;
          const late = new AbortController();
          const timer = setTimeout(() => late.abort(), POST_MS);
          // A page that goes away may still send, if it is not much.
          const init = { keepalive: body.length < 20_000, signal: late.signal };
          const answer = await http(url, body, init).catch((error) => void (why = error));
          clearTimeout(timer);
          if (answer?.ok) break;
          const { status = 500 } = answer ?? {};
          if (tries === TRIES || closed || (status < 500 && status !== 429)) end(why ?? `status ${status}`);
          if (over.signal.aborted) return;
          await sleep(250 * tries);
        }
        asked = true;
        hasten();
      }
      posting = false;
      if (closed) stop();
    };

    run().catch(end);
    return {
      send(frame) {
        waiting.push(frame);
        if (!posting) void post();
      },
      close() {
        closed = true;
        if (!posting) stop();
      },
    };
  };
}
