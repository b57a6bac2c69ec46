import { beforeEach, describe, expect, it, vi } from "vitest";
import { storeOutgoing, storedOutgoing, type OutgoingAction, outgoingReducer } from "./outgoing";

const sending = (id: string, isQueued = false): OutgoingAction => ({ type: "sending", id, text: id, timestamp: 1, isQueued });
const after = (...actions: OutgoingAction[]) => actions.reduce(outgoingReducer, []);

describe("our messages", () => {
  it("stay with a reason when they fail, and lose it with the next attempt", () => {
    const failed = after(sending("a"), { type: "failed", id: "a", error: "no" });
    expect(failed).toMatchObject([{ id: "a", text: "a", error: "no" }]);
    expect(outgoingReducer(failed, sending("a"))[0]?.error).toBeUndefined();
  });

  it("go when they have arrived or were discarded", () => {
    expect(after(sending("a"), sending("b"), { type: "done", id: "a" })).toMatchObject([{ id: "b" }]);
  });
});

describe("what is kept when a room is left", () => {
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

  it("is what has not arrived, of that room", () => {
    const kept = keep(sending("a"), sending("b"), { type: "done", id: "a" });
    expect(kept).toMatchObject([{ id: "b", text: "b" }]);
    expect(storedOutgoing("random")).toEqual([]);
  });

  it("waits for us to decide: nothing in it is on its way", () => {
    const kept = keep(sending("not sent", true), sending("in doubt"), sending("failed"), { type: "failed", id: "failed", error: "no" });
    expect(kept.map(({ error }) => error)).toEqual([expect.stringContaining("Not sent"), expect.stringContaining("may have been sent"), "no"]);
  });

  it("is not in doubt because of a connection that came later", () => {
    expect(keep(sending("a", true), { type: "left" }, { type: "connected" })[0]?.error).toContain("Not sent");
  });

  it("may have been sent as soon as there was a connection", () => {
    expect(keep(sending("a", true), { type: "connected" })[0]?.error).toContain("may have been sent");
  });

  it("is told apart also after the room was left", () => {
    expect(keep(sending("a"), { type: "failed", id: "a", error: "no answer" })[0]?.error).toBe("no answer");
  });
});
