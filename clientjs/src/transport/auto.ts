// Uses WebSocket where it works. Where it does not, the code for HTTP is loaded, and race.ts decides from then on.
import type { Http } from "../http.js";
import { SILENCE_MS } from "../timing.js";
import type { Link, Transport } from "./websocket.js";

/**
 * Creates a transport that uses `first`. It loads the code for HTTP, which then chooses between the two, when the first
 * one fails, has been silent for 2 s, or was closed right after its hello the last time; or at once, if there is none.
 */
export function autoTransport(first: Transport | undefined, load: () => Promise<Http>): Transport {
  let race: ReturnType<Http["race"]> | undefined;
  /** The next attempt does not try the first one. That holds once, because the code for HTTP may not load either. */
  let blocked = !first;

  return (base, events) => {
    if (race) return race(base, events);
    const isBlocked = blocked;
    blocked = !first;
    let link: Link | undefined;
    let frames = 0;
    /** All that arrived was a hello. */
    let onlyHello = false;
    let closed = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    /** Why the first transport failed, and then why the code for HTTP could not be loaded, or the other way round. */
    let failures = "";
    let loading: Promise<void> | undefined;

    const fail = (why: string) => {
      failures += (failures && "; ") + why;
      // The first one may still be opening, or the code be on its way.
      if (isBlocked || failures !== why) events.end(failures);
    };
    const fallBack = () => {
      clearTimeout(timer);
      loading ??= load().then(
        (http) => {
          if (closed || frames) return;
          race = http.race(first, isBlocked);
          link = race(base, events, (raced) => {
            if (failures) throw failures;
            events = raced;
            return link!;
          });
        },
        (error) => closed || frames || fail(`could not load http.js: ${error}`),
      ) as Promise<void>;
    };
    const end = (why: string) => {
      if (frames || race) {
        blocked = onlyHello;
        events.end(why);
      } else {
        fail(why);
        fallBack();
      }
    };

    if (isBlocked) fallBack();
    else {
      timer = setTimeout(fallBack, SILENCE_MS);
      try {
        link = first!(base, {
          frame(text) {
            clearTimeout(timer);
            onlyHello = !frames++ && text.includes('"hello"');
            events.frame(text);
          },
          end,
        });
      } catch (error) {
        end(String(error));
      }
    }
    return {
      get failures() {
        return link?.failures ?? failures;
      },
      send: (frame) => link?.send(frame),
      close() {
        closed = true;
        clearTimeout(timer);
        link?.close();
      },
    };
  };
}
