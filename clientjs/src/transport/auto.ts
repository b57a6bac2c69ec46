// WebSocket where it works, HTTP where it is blocked.
import { BLOCKED_MS, SILENT_MS } from "./sse.js";
import type { Link, Transport } from "./websocket.js";

/**
 * Links over the first of two transports that brings a frame. The second one is
 * dialled when the first fails, or has said nothing for 2 s. If it was the second
 * that brought a hello, or if the first was closed right after its hello, the
 * next attempts dial the second alone, for 5 minutes or until it fails; then they
 * begin with the first again. A server that is down makes nothing blocked.
 */
export function autoTransport(first: Transport, second: Transport): Transport {
  let blockedUntil = 0;

  return (base, events) => {
    const links = new Map<Transport, Link>();
    let chosen: Transport | undefined;
    let greeted = false;
    let frames = 0;
    let both = false;
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const dial = (kind: Transport) => {
      clearTimeout(timer);
      both = kind === second;
      const end = (why: string) => {
        links.delete(kind);
        if (over || (chosen && chosen !== kind)) return;
        if (!chosen && !both) return dial(second);
        if (!chosen && links.size) return;
        over = true;
        if (!chosen) blockedUntil = 0;
        else if (kind === first && greeted && frames === 1) blockedUntil = performance.now() + BLOCKED_MS;
        events.end(why);
      };
      try {
        const link = kind(base, {
          frame(text) {
            frames++;
            if (!chosen) {
              chosen = kind;
              clearTimeout(timer);
              for (const [other, link] of links) if (other !== kind) link.close();
              greeted = text.includes('"hello"');
              if (greeted && kind === second && performance.now() >= blockedUntil) {
                blockedUntil = performance.now() + BLOCKED_MS;
              }
            }
            if (chosen === kind) events.frame(text);
          },
          end,
        });
        links.set(kind, link);
      } catch (error) {
        end(String(error));
      }
    };

    if (performance.now() < blockedUntil) dial(second);
    else {
      dial(first);
      if (!both) timer = setTimeout(dial, SILENT_MS, second);
    }
    return {
      send: (frame) => links.get(chosen!)?.send(frame),
      close() {
        over = true;
        clearTimeout(timer);
        for (const link of links.values()) link.close();
      },
    };
  };
}
