import { describe, expect, test } from "vitest";
import type { Connection, Entry } from "./api";
import { sentTo } from "./LogTail";

const conn = (channel: object | undefined = {}): Connection => ({
  num: 7,
  id: "c",
  attachment: "0.1",
  online: true,
  droppedMs: 0,
  expiresMs: 0,
  start: 10,
  ...(channel && {
    channel: {
      socket: 1,
      transport: "websocket",
      subscriptions: [{ event: "said", after: 12 }],
      sent: 20,
      sentMs: 0,
      behind: 0,
      unanswered: [],
      blocked: false,
      ...channel,
    },
  }),
});

const entry = (e: Partial<Entry>): Entry => ({
  seq: 15,
  numbered: true,
  atMs: 0,
  kind: "event",
  event: "said",
  bytes: 0,
  ...e,
});

describe("sentTo", () => {
  test.each([
    [{}, "sent"],
    [{ event: "moved" }, "not subscribed"],
    [{ event: "moved", direct: true, only: [7] }, "sent"],
    [{ seq: 12 }, "before it subscribed"],
    [{ seq: 9 }, "before it joined"],
    [{ only: [8] }, "for others"],
    [{ except: [7] }, "for others"],
    [{ except: [8] }, "sent"],
    [{ kind: "reply", event: undefined, only: [7] }, "sent"],
    [{ kind: "reply", event: undefined }, "for no connection"],
    [{ kind: "failed", event: undefined, to: "0.1" }, "sent"],
    [{ kind: "closed", event: undefined, to: "0.2" }, "for another one"],
  ] as [Partial<Entry>, string][])("%j: %s", (e, text) => {
    expect(sentTo(entry(e), conn()).text).toBe(text);
  });

  test("what waits", () => {
    expect(sentTo(entry({ seq: 21 }), conn({ behind: 3 })).text).toBe("waits");
    expect(sentTo(entry({ seq: 19 }), conn({ behind: 3 })).text).toBe("sent");
    expect(sentTo(entry({}), { ...conn(), channel: undefined }).text).toBe("when it returns");
  });
});
