// Uses WebSocket where it works, and HTTP where WebSockets are blocked.
import { now } from "../clock.js";
import type { Link, Transport } from "./websocket.js";

/** A WebSocket that is silent for this long is blocked. */
const SILENCE_TIMEOUT_MS = 2_000;
/** A transport that was found to be blocked is not tried first again for this long. */
const BLOCKED_MS = 300_000;

/**
 * Creates a transport that uses whichever of two transports first receives a frame. It dials the second one when
 * the first fails, or has been silent for 2 s. The first one counts as blocked if the second received a hello, or
 * if the first was closed right after its hello: the next attempts then dial only the second, for 5 minutes or
 * until it fails. A server that is down does not make the first one count as blocked.
 */
export function autoTransport(first: Transport, second: Transport): Transport {
  let blockedUntil = 0;

  return (base, events) => {
    const links = new Map<Transport, Link>();
    let chosen: Transport | undefined;
    let gotHello = false;
    let frames = 0;
    let dialedSecond = false;
    let ended = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    /** Why the transports failed, in that order. */
    let causes = "";

    const dial = (transport: Transport) => {
      clearTimeout(timer);
      dialedSecond = transport === second;
      const end = (why: string) => {
        links.delete(transport);
        if (ended || (chosen && chosen !== transport)) return;
        if (!chosen) {
          why = causes += `${causes && "; "}${transport === second ? "over HTTP: " : ""}${why}`;
          if (!dialedSecond) return dial(second);
          if (links.size) return;
        }
        ended = true;
        if (!chosen) blockedUntil = 0;
        else if (transport === first && gotHello && frames === 1) blockedUntil = now() + BLOCKED_MS;
        events.end(why);
      };
      try {
        const link = transport(base, {
          frame(text) {
            frames++;
            if (!chosen) {
              chosen = transport;
              clearTimeout(timer);
              for (const [other, link] of links) if (other !== transport) link.close();
              gotHello = text.includes('"hello"');
              if (gotHello && transport === second && now() >= blockedUntil) {
                blockedUntil = now() + BLOCKED_MS;
              }
            }
            if (chosen === transport) events.frame(text);
          },
          end,
        });
        links.set(transport, link);
      } catch (error) {
        end(String(error));
      }
    };

    if (now() < blockedUntil) dial(second);
    else {
      dial(first);
      if (!dialedSecond) timer = setTimeout(dial, SILENCE_TIMEOUT_MS, second);
    }
    return {
      send: (frame) => links.get(chosen!)?.send(frame),
      close() {
        ended = true;
        clearTimeout(timer);
        for (const link of links.values()) link.close();
      },
    };
  };
}
