import { describe, expect, it } from "vitest";
import type { Message } from "../registry";
import { type Chat, type ChatAction, chatReducer, emptyChat, merge, toRows } from "./messages";

const minute = 60_000;
const message = (id: string, timestamp = 0, userId = "ada"): Message => ({ id, userId, text: id, timestamp });
const after = (...actions: ChatAction[]): Chat => actions.reduce(chatReducer, emptyChat);
const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

describe("what the server says", () => {
  it("is shown once, whether it comes as an event, as a reply or as both", () => {
    const chat = after(
      { type: "sending", id: "local", text: "hi", timestamp: 1 },
      { type: "received", message: message("a") },
      { type: "sent", id: "local", message: message("a") },
    );
    expect(ids(chat.messages)).toEqual(["a"]);
    expect(chat.outgoing).toEqual([]);
  });

  it("can be taken back", () => {
    const chat = after({ type: "received", message: message("a") }, { type: "deleted", messageId: "a" }, { type: "deleted", messageId: "b" });
    expect(chat.messages).toEqual([]);
  });

  it("decides, as a list, for the time that it covers", () => {
    const known = [message("old", 1), message("deleted", 6), message("kept", 7)];
    expect(ids(merge(known, [message("first", 5), message("kept", 7), message("new", 9)]))).toEqual(["old", "first", "kept", "new"]);
    expect(merge(known, [])).toEqual([]);
  });
});

describe("our messages", () => {
  const sending: ChatAction = { type: "sending", id: "local", text: "hi", timestamp: 1 };

  it("stay with a reason when they fail, and lose it with the next attempt", () => {
    const failed = after(sending, { type: "failed", id: "local", error: "no" });
    expect(failed.outgoing).toEqual([{ id: "local", text: "hi", timestamp: 1, error: "no" }]);
    expect(chatReducer(failed, sending).outgoing).toEqual([{ id: "local", text: "hi", timestamp: 1 }]);
    expect(chatReducer(failed, { type: "discarded", id: "local" }).outgoing).toEqual([]);
  });
});

describe("what was missed", () => {
  it("is what others said while the connection was lost", () => {
    const chat = after(
      { type: "received", message: message("a") },
      { type: "lost" },
      { type: "received", message: message("b", 0, "bob") },
      { type: "received", message: message("c", 0, "ada") },
      { type: "back", userId: "ada" },
    );
    expect(chat.missed).toEqual({ after: "a", count: 1 });
    expect(chat.lostAfter).toBeUndefined();
  });

  it("is nothing when nobody said anything", () => {
    const chat = after({ type: "received", message: message("a") }, { type: "lost" }, { type: "back", userId: "ada" });
    expect(chat.missed).toBeUndefined();
  });
});

describe("rows", () => {
  it("begin a group with another author, after a while, and after what was missed", () => {
    const rows = toRows(
      [
        message("a", 0),
        message("same", minute),
        message("later", 10 * minute),
        message("bob", 10 * minute, "bob"),
        message("missed", 10 * minute, "bob"),
      ],
      "bob",
    );
    expect(rows.filter((row) => row.startsGroup).map((row) => row.message.id)).toEqual(["a", "later", "bob", "missed"]);
    expect(rows.filter((row) => row.startsMissed).map((row) => row.message.id)).toEqual(["missed"]);
  });

  it("begin a day, but not the first one", () => {
    const rows = toRows([message("a", 0), message("b", 24 * 60 * minute)]);
    expect(rows.map((row) => row.startsDay)).toEqual([false, true]);
  });
});
