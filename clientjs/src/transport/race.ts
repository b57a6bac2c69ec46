// Chooses between WebSocket and HTTP, where WebSockets seem to be blocked.
import type { Tools } from "../http.js";
import { BLOCKED_MS, SILENCE_MS } from "../timing.js";
import type { Link, LinkEvents, Transport } from "./websocket.js";

/** Opens a link. `running` gives the link of the first transport if it is being opened already; it throws if that failed. */
export type Race = (base: string, events: LinkEvents, running?: (events: LinkEvents) => Link) => Link;

/**
 * Creates a transport that uses whichever of two transports first receives a frame. It dials the second one when
 * the first fails, or has been silent for 2 s. The first one counts as blocked if the second received a hello, or
 * if the first was closed right after its hello, which `isBlocked` tells of an earlier link: the next attempts then dial
 * only the second, for 5 minutes or until it fails. A server that is down does not make the first one count as blocked.
 */
export function createRace(first: Transport, second: Transport, isBlocked: boolean, { now }: Pick<Tools, "now">): Race {
  let blockedUntil = isBlocked ? now() + BLOCKED_MS : 0;

  return (base, events, running) => {
    const until = now() < blockedUntil && blockedUntil;
    blockedUntil = 0; // until a frame arrives: a second one that fails, or does not answer, helps nobody
    const links = new Map<Transport, Link>();
    let chosen: Transport | undefined;
    let gotHello = false;
    let frames = 0;
    let dialedSecond = false;
    let ended = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    /** Why the transports failed, in that order. */
    let failures = "";

    const dial = (transport: Transport) => {
      clearTimeout(timer);
      dialedSecond = transport === second;
      const end = (why: string) => {
        links.delete(transport);
        if (ended || (chosen && chosen !== transport)) return;
        if (!chosen) {
          why = failures += `${failures && "; "}${transport === second ? "over HTTP: " : ""}${why}`;
          if (!dialedSecond) return dial(second);
          if (links.size) return;
        }
        ended = true;
        if (transport === first && gotHello && frames === 1) blockedUntil = now() + BLOCKED_MS;
        events.end(why);
      };
      const open = transport === first && running ? (_: string, raced: LinkEvents) => running(raced) : transport;
      try {
        const link = open(base, {
          frame(text) {
            if (!frames++) {
              chosen = transport;
              clearTimeout(timer);
              for (const [other, link] of links) if (other !== transport) link.close();
              gotHello = text.includes('"hello"');
              blockedUntil = until || (gotHello && transport === second ? now() + BLOCKED_MS : 0);
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

    if (until) dial(second);
    else {
      dial(first);
      if (!dialedSecond) timer = setTimeout(dial, running ? 0 : SILENCE_MS, second);
    }
    return {
      get failures() {
        return failures;
      },
      send: (frame) => links.get(chosen!)?.send(frame),
      close() {
        ended = true;
        clearTimeout(timer);
        for (const link of links.values()) link.close();
      },
    };
  };
}
