// Shows the state of the connection in words: lost, reconnecting, reconnected with or
// without the missed events, and whether a new version of the page is available. All of
// it comes from lifecycle events; the replay itself needs no code here.
//
// Accessible names: status "Notice" · button "Dismiss" · button "Reload" ·
//                   button "Try now".

import type { ActorError, Reconnected } from "@troupe/client";
import type { ActorStatus, EventActor } from "@troupe/react";
import { type ReactNode, useEffect, useState } from "react";
import { client, useEvent } from "../troupe";
import { Icon } from "./icons";
import { still } from "./still";
import { count } from "./text";
import { useTrueFor } from "./useTrueFor";
import { useOnline } from "./useOnline";

/** An actor of any type that useActor returned; only its lifecycle is used. */
type AnyActor = EventActor<{ events: object }> & { status: ActorStatus; error: ActorError | undefined };

interface Props {
  actor: AnyActor;
  /** Returns the text after a replay, for pages that count other things than events. */
  caughtUp?: (event: Reconnected) => string;
  /** Whether another banner of the page tells of the link, which all its actors share. */
  linkIsToldOf?: boolean;
}

const SUCCESS_MS = 6_000;
const SLOW_MS = 1_500; // connecting takes longer: show it
const STALE_MS = 1_500; // longer than "make dev" takes to restart the server after a change of the page

const REASONS: Record<string, string> = {
  restart: "the server was restarted and no longer has them",
  expired: "you were offline for too long",
  overflow: "there were more than the server keeps",
  slow: "they arrived faster than this device could handle them",
};

export function ConnectionBanner({ actor, caughtUp = defaultCaughtUp, linkIsToldOf = false }: Props) {
  const [reconnected, setReconnected] = useState<Reconnected>();
  const [retryAt, setRetryAt] = useState<number>();
  const [dismissed, setDismissed] = useState(false);
  // As another user nothing was missed: the page shows what this one may see.
  useEvent(actor, "reconnected", (event) => setReconnected(event.reason === "identity" ? undefined : event));
  useEvent(actor, "disconnected", ({ retryInMs }) => {
    setReconnected(undefined);
    setRetryAt(retryInMs === undefined ? undefined : Date.now() + retryInMs);
  });
  // Another attempt failed.
  useEvent(actor, "error", ({ metadata }) => {
    const { retryInMs } = (metadata ?? {}) as { retryInMs?: number };
    if (retryInMs !== undefined) setRetryAt(Date.now() + retryInMs);
  });

  // A success disappears by itself; a gap stays until the user dismisses it.
  useEffect(() => {
    if (!reconnected?.recovered) return;
    const timer = setTimeout(setReconnected, SUCCESS_MS, undefined);
    return () => clearTimeout(timer);
  }, [reconnected]);

  const { status, error } = actor;
  const online = useOnline();
  // A connection that is opened while the link is down gets no event before the next attempt.
  const slow = useTrueFor(status === "connecting", SLOW_MS);
  // client.stale is set before status is connected. It is reset when a matching server comes back.
  const stale = useTrueFor(client.stale && status === "connected", STALE_MS) && !dismissed;
  let tone = "";
  let content;
  const isDown = status === "disconnected" || (status === "connecting" && (error || slow || !online));
  if (linkIsToldOf && (isDown || stale)) {
    // nothing
  } else if (isDown) {
    tone = "warn";
    content = (
      <>
        <p>
          <span>{outageText(status, online)}</span>
          <Countdown until={retryAt} />
        </p>
        <button type="button" onClick={() => client.reconnect()}>
          Try now
        </button>
      </>
    );
  } else if (status === "closed") {
    tone = "bad";
    content = (
      <>
        <p>{`The connection has ended${error ? `: ${error.message}` : ""}.`}</p>
        <button type="button" onClick={() => location.reload()}>
          Reload
        </button>
      </>
    );
  } else if (stale) {
    tone = "warn";
    content = (
      <>
        <p>A new version is available.</p>
        <button type="button" onClick={() => location.reload()}>
          Reload
        </button>
        <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => setDismissed(true)}>
          <Icon name="close" />
        </button>
      </>
    );
  } else if (reconnected) {
    tone = reconnected.recovered ? "ok" : "warn";
    content = (
      <>
        <p>{reconnected.recovered ? caughtUp(reconnected) : notRecovered(reconnected)}</p>
        <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => setReconnected(undefined)}>
          <Icon name="close" />
        </button>
      </>
    );
  }
  // Always render the region: screen readers announce changes in it.
  return (
    <div role="status" aria-label="Notice" className="banner-region">
      <Banner tone={tone}>{content}</Banner>
    </div>
  );
}

/** Moves what is below it, so it is still during a press. */
const Banner = still(function Banner({ tone, children }: { tone: string; children: ReactNode }) {
  return children && <div className={`banner ${tone}`}>{children}</div>;
});

function outageText(status: ActorStatus, online: boolean): string {
  if (!online) return `You are offline. ${status === "connecting" ? "Connecting" : "Reconnecting"}`;
  return status === "connecting" ? "There is no connection yet. Trying" : "The connection is lost. Reconnecting";
}

function defaultCaughtUp({ replayed }: Reconnected): string {
  return replayed
    ? `Back online. ${count(replayed, "update")} you missed ${replayed === 1 ? "is" : "are"} here.`
    : "Back online.";
}

/** Says how many updates were missed, if that is known, and why. */
function notRecovered({ missed, exact, reason = "" }: Reconnected): string {
  const what = missed ? `${exact ? "" : "at least "}${count(missed, "update")}` : "some updates";
  const why = REASONS[reason] ?? reason;
  return `Back online, but ${what} ${missed === 1 ? "was" : "were"} missed${why && `: ${why}`}. What you see now is up to date.`;
}

/** A countdown that is hidden from screen readers, which would read out every second. */
function Countdown({ until }: { until: number | undefined }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil(((until ?? now) - now) / 1000);
  return <span aria-hidden="true">{seconds > 0 ? ` in ${seconds} s` : "…"}</span>;
}
