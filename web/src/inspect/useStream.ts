import { useEffect, useEffectEvent, useState } from "react";
import { afterPress } from "../ui/afterPress";
import { streamURL } from "./api";

export type StreamStatus = "connecting" | "connected" | "disconnected" | "closed";

const RETRY_MS = 1_000;

/**
 * Listens to a stream while the component is there, and while the page is visible: a page that nobody looks at costs
 * the server nothing. `on` gets each event; `opened` is called before those of a new stream. Both wait while a pointer is
 * pressed, so that no button moves away beneath it.
 */
export function useStream(
  query: Record<string, string>,
  on: (name: string, data: never) => void,
  opened: () => void = () => {},
): StreamStatus {
  const [status, setStatus] = useState<StreamStatus>("connecting");
  const url = streamURL(query);
  const heard = useEffectEvent((name: string, data: string) => {
    if (name === "gone") setStatus("closed");
    on(name, JSON.parse(data) as never);
  });
  const started = useEffectEvent(() => {
    setStatus("connected");
    opened();
  });

  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    const close = () => {
      clearTimeout(timer);
      source?.close();
      source = undefined;
    };
    const open = () => {
      close();
      if (ended || document.hidden) return;
      const stream = (source = new EventSource(url));
      const listen = (name: string, f: (event: Event) => void) =>
        stream.addEventListener(name, (event) => afterPress(() => stream === source && f(event)));
      listen("open", started);
      listen("error", () => {
        close(); // the browser's own attempts end when the server answers with an error
        if (ended) return;
        setStatus("disconnected");
        timer = setTimeout(open, RETRY_MS);
      });
      for (const name of ["overview", "sample", "stored", "cluster", "actor", "log", "turns", "gone"]) {
        listen(name, (event) => {
          if (name === "gone") {
            ended = true;
            close();
          }
          heard(name, (event as MessageEvent<string>).data);
        });
      }
    };
    const onVisible = () => (document.hidden ? close() : source || open());
    document.addEventListener("visibilitychange", onVisible);
    open();
    return () => {
      ended = true;
      document.removeEventListener("visibilitychange", onVisible);
      close();
    };
  }, [url]);
  return status;
}
