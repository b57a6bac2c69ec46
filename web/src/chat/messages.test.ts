import { describe, expect, it } from "vitest";
import type { Message } from "../registry.gen";
import { type Chat, type ChatAction, chatReducer, emptyChat, merge, toRows } from "./messages";

const minute = 60_000;
const message = (id: string, timestamp = 0, userId = "ada"): Message => ({ id, userId, text: id, timestamp });
const after = (...actions: ChatAction[]): Chat => actions.reduce(chatReducer, emptyChat);
const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

describe("what the server says", () => {
  it("is shown once, also when it comes as an event and as a reply", () => {
    const chat = after(
      { type: "received", message: message("a") },
      { type: "received", message: message("a") },
    );
    expect(ids(chat.messages)).toEqual(["a"]);
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

describe("what was missed", () => {
  const received = (id: string, userId = "ada"): ChatAction => ({ type: "received", message: message(id, 0, userId) });
  const lost: ChatAction = { type: "lost" };
  const back: ChatAction = { type: "back", userId: "ada" };

  it("is what others said while the connection was lost", () => {
    const chat = after(received("a"), lost, received("b", "bob"), received("c", "ada"), back);
    expect(chat.missed).toEqual(["b"]);
    expect(chat.before).toBeUndefined();
  });

  it("is nothing when nobody said anything", () => {
    expect(after(received("a"), lost, back).missed).toEqual([]);
  });

  it("is all there is in a room that was empty", () => {
    const chat = after(lost, received("a", "bob"), received("b", "bob"), back);
    expect(chat.missed).toEqual(["a", "b"]);
    expect(toRows(chat.messages, chat.missed).map((row) => row.startsMissed)).toEqual([true, false]);
  });

  it("is not what was there before, also when the last of that was deleted", () => {
    const chat = after(received("a", "bob"), received("b", "bob"), lost, { type: "deleted", messageId: "b" }, received("c", "bob"), back);
    expect(chat.missed).toEqual(["c"]);
    expect(after(received("a", "bob"), lost, { type: "deleted", messageId: "a" }, back).missed).toEqual([]);
  });

  it("counts from the first loss when the connection is lost again before it is back", () => {
    expect(after(received("a"), lost, received("b", "bob"), lost, received("c", "bob"), back).missed).toEqual(["b", "c"]);
  });

  it("keeps its place when the first of it is deleted later", () => {
    const chat = after(lost, received("a", "bob"), received("b", "bob"), back, { type: "deleted", messageId: "a" });
    expect(toRows(chat.messages, chat.missed).map((row) => row.startsMissed)).toEqual([true]);
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
      ["missed"],
    );
    expect(rows.filter((row) => row.startsGroup).map((row) => row.message.id)).toEqual(["a", "later", "bob", "missed"]);
    expect(rows.filter((row) => row.startsMissed).map((row) => row.message.id)).toEqual(["missed"]);
  });

  it("begin a group with another name of the same author", () => {
    const rows = toRows([{ ...message("a"), name: "Ada" }, { ...message("b"), name: "Lady A" }, { ...message("c"), name: "Lady A" }]);
    expect(rows.map((row) => row.startsGroup)).toEqual([true, true, false]);
  });

  it("begin a day, but today only after another one", () => {
    const day = 24 * 60 * minute;
    const startsDay = (now: number) => toRows([message("a", 0), message("b", day)], [], now).map((row) => row.startsDay);
    expect(startsDay(day)).toEqual([true, true]);
    expect(startsDay(0)).toEqual([false, true]);
  });
});
