import { beforeEach, describe, expect, it, vi } from "vitest";
import { storeOutgoing, storedOutgoing, type OutgoingAction, outgoingReducer } from "./outgoing";

const sending = (id: string, isQueued = false): OutgoingAction => ({
  type: "sending",
  id,
  text: id,
  timestamp: 1,
  isQueued,
});
const after = (...actions: OutgoingAction[]) => actions.reduce(outgoingReducer, []);

describe("outgoing messages", () => {
  it("have an error when they fail, until the next attempt", () => {
    const failed = after(sending("a"), { type: "failed", id: "a", error: "no" });
    expect(failed).toMatchObject([{ id: "a", text: "a", error: "no" }]);
    expect(outgoingReducer(failed, sending("a"))[0]?.error).toBeUndefined();
  });

  it("are removed when they have arrived or were discarded", () => {
    expect(after(sending("a"), sending("b"), { type: "done", id: "a" })).toMatchObject([{ id: "b" }]);
  });
});

describe("stored outgoing messages", () => {
  beforeEach(() => {
    const items = new Map<string, string>();
    vi.stubGlobal("sessionStorage", {
      getItem: (key: string) => items.get(key) ?? null,
      setItem: (key: string, value: string) => items.set(key, value),
    });
    return () => vi.unstubAllGlobals();
  });
  const keep = (...actions: OutgoingAction[]) => {
    for (const action of actions) storeOutgoing("general", action);
    return storedOutgoing("general");
  };

  it("are those of a room that have not arrived", () => {
    const kept = keep(sending("a"), sending("b"), { type: "done", id: "a" });
    expect(kept).toMatchObject([{ id: "b", text: "b" }]);
    expect(storedOutgoing("random")).toEqual([]);
  });

  it("wait for the user: none is being sent", () => {
    const kept = keep(sending("not sent", true), sending("in doubt"), sending("failed"), {
      type: "failed",
      id: "failed",
      error: "no",
    });
    expect(kept.map(({ error }) => error)).toEqual([
      expect.stringContaining("Not sent"),
      expect.stringContaining("may have been sent"),
      "no",
    ]);
  });

  it("were not sent if the connection came up after the user left", () => {
    expect(keep(sending("a", true), { type: "left" }, { type: "connected" })[0]?.error).toContain("Not sent");
  });

  it("may have been sent if there was a connection", () => {
    expect(keep(sending("a", true), { type: "connected" })[0]?.error).toContain("may have been sent");
  });

  it("keep their error if they fail after the user left", () => {
    expect(keep(sending("a"), { type: "failed", id: "a", error: "no answer" })[0]?.error).toBe("no answer");
  });
});
