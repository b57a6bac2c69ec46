// Tells, in words, what the connection is doing: lost, trying again, back with
// everything that was missed, or back without; and that there is a newer page. All
// of it comes from the connection's life; the replay itself needs no code here.
//
// Accessible names: status "Notice" · button "Dismiss" · button "Reload" ·
//                   button "Try now".

import type { ActorError, Reconnected } from "@troupe/client";
import type { ActorStatus, EventActor } from "@troupe/react";
import { useEffect, useState } from "react";
import { client } from "../troupe";
import { Icon } from "./icons";
import { count } from "./text";
import { useLasting } from "./useLasting";
import { useOnline } from "./useOnline";

/** What useActor returns, whatever the actor: only the lifecycle is used. */
type AnyActor = EventActor<{ events: object }> & { status: ActorStatus; error: ActorError | undefined };

interface Props {
  actor: AnyActor;
  /** Says what the replay has brought, if the page can count it in its own words. */
  caughtUp?: (event: Reconnected) => string;
}

const SUCCESS_MS = 6_000;
const SLOW_MS = 1_500; // a connection that takes longer is worth a word
const STALE_MS = 1_500; // longer than the server of "make dev" takes to follow the page

const REASONS: Record<string, string> = {
  restart: "the server was restarted and has forgotten them",
  expired: "you were away for too long",
  overflow: "more happened than the server keeps",
  slow: "they came faster than this device could take them",
};

export function ConnectionBanner({ actor, caughtUp = defaultCaughtUp }: Props) {
  const [back, setBack] = useState<Reconnected>();
  const [retryAt, setRetryAt] = useState<number>();
  const [dismissed, setDismissed] = useState(false);
  actor.useEvent("reconnected", setBack);
  actor.useEvent("disconnected", ({ retryInMs }) => {
    setBack(undefined);
    setRetryAt(retryInMs === undefined ? undefined : Date.now() + retryInMs);
  });
  // A further attempt has failed.
  actor.useEvent("error", ({ metadata }) => {
    const { retryInMs } = (metadata ?? {}) as { retryInMs?: number };
    if (retryInMs !== undefined) setRetryAt(Date.now() + retryInMs);
  });

  // Good news goes by itself; what was lost stays until it has been read.
  useEffect(() => {
    if (!back?.recovered) return;
    const timer = setTimeout(setBack, SUCCESS_MS, undefined);
    return () => clearTimeout(timer);
  }, [back]);

  const { status, error } = actor;
  const online = useOnline();
  // A room that is opened while the link is down hears nothing of it before the next attempt.
  const slow = useLasting(status === "connecting", SLOW_MS);
  // It is known before the status says connected. A server may come back that is the page's again.
  const stale = useLasting(client.stale && status === "connected", STALE_MS) && !dismissed;
  let tone = "";
  let content;
  if (status === "disconnected" || (status === "connecting" && (error || slow || !online))) {
    tone = "warn";
    content = (
      <>
        <p>
          {troubleText(status, online)}
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
        <p>The connection has ended{error && `: ${error.message}`}.</p>
        <button type="button" onClick={() => location.reload()}>
          Reload
        </button>
      </>
    );
  } else if (stale) {
    tone = "warn";
    content = (
      <>
        <p>A new version is there.</p>
        <button type="button" onClick={() => location.reload()}>
          Reload
        </button>
        <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => setDismissed(true)}>
          <Icon name="close" />
        </button>
      </>
    );
  } else if (back) {
    tone = back.recovered ? "ok" : "warn";
    content = (
      <>
        <p>{back.recovered ? caughtUp(back) : notRecovered(back)}</p>
        <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => setBack(undefined)}>
          <Icon name="close" />
        </button>
      </>
    );
  }
  // The region is always there: a screen reader announces what changes in it.
  return (
    <div role="status" aria-label="Notice" className="banner-region">
      {content && <div className={`banner ${tone}`}>{content}</div>}
    </div>
  );
}

function troubleText(status: ActorStatus, online: boolean): string {
  if (!online) return `You are offline. ${status === "connecting" ? "Connecting" : "Reconnecting"}`;
  return status === "connecting" ? "There is no connection yet. Trying" : "The connection is lost. Reconnecting";
}

function defaultCaughtUp({ replayed }: Reconnected): string {
  return replayed ? `Back online. ${count(replayed, "update")} you missed ${replayed === 1 ? "is" : "are"} here.` : "Back online.";
}

/** Honest: how many are gone, if that is known, and why. */
function notRecovered({ missed, exact, reason = "" }: Reconnected): string {
  const what = missed ? `${exact ? "" : "at least "}${count(missed, "update")}` : "some updates";
  const why = REASONS[reason] ?? reason;
  return `Back online, but ${what} ${missed === 1 ? "was" : "were"} missed${why && `: ${why}`}. What you see now is up to date.`;
}

/** Counts down for the eye only: a screen reader would read every second. */
function Countdown({ until }: { until: number | undefined }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil(((until ?? now) - now) / 1000);
  return <span aria-hidden="true">{seconds > 0 ? ` in ${seconds} s` : "…"}</span>;
}
