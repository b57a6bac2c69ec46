import { describe, expect, it } from "vitest";
import type { Message } from "../registry.gen";
import { connectionRestored, type Chat, deleted, emptyChat, connectionLost, merge, received, toRows } from "./messages";

const minute = 60_000;
const message = (id: string, timestamp = 0, userId = "ada"): Message => ({ id, userId, text: id, timestamp });
type Step = (chat: Chat) => Chat;
const after = (...steps: Step[]): Chat => steps.reduce((chat, step) => step(chat), emptyChat);
const hears = (id: string, userId = "ada"): Step => (chat) => received(chat, message(id, 0, userId));
const forgets = (id: string): Step => (chat) => deleted(chat, id);
const returns: Step = (chat) => connectionRestored(chat, "ada");
const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

describe("what the server says", () => {
  it("can be taken back", () => {
    expect(ids(after(hears("a"), hears("b"), forgets("a"), forgets("c")).messages)).toEqual(["b"]);
  });

  it("decides, as a list, for the time that it covers", () => {
    const known = [message("old", 1), message("deleted", 6), message("kept", 7)];
    expect(ids(merge(known, [message("first", 5), message("kept", 7), message("new", 9)]))).toEqual(["old", "first", "kept", "new"]);
    expect(merge(known, [])).toEqual([]);
  });
});

describe("what was missed", () => {
  it("is what others said while the connection was lost", () => {
    const chat = after(hears("a"), connectionLost, hears("b", "bob"), hears("c", "ada"), returns);
    expect(chat.missed).toEqual(["b"]);
    expect(chat.before).toBeUndefined();
  });

  it("is nothing when nobody said anything", () => {
    expect(after(hears("a"), connectionLost, returns).missed).toEqual([]);
  });

  it("is all there is in a room that was empty", () => {
    const chat = after(connectionLost, hears("a", "bob"), hears("b", "bob"), returns);
    expect(chat.missed).toEqual(["a", "b"]);
    expect(toRows(chat.messages, chat.missed).map((row) => row.startsMissed)).toEqual([true, false]);
  });

  it("is not what was there before, also when the last of that was deleted", () => {
    const chat = after(hears("a", "bob"), hears("b", "bob"), connectionLost, forgets("b"), hears("c", "bob"), returns);
    expect(chat.missed).toEqual(["c"]);
    expect(after(hears("a", "bob"), connectionLost, forgets("a"), returns).missed).toEqual([]);
  });

  it("counts from the first loss when the connection is lost again before it is back", () => {
    expect(after(hears("a"), connectionLost, hears("b", "bob"), connectionLost, hears("c", "bob"), returns).missed).toEqual(["b", "c"]);
  });

  it("keeps its place when the first of it is deleted later", () => {
    const chat = after(connectionLost, hears("a", "bob"), hears("b", "bob"), returns, forgets("a"));
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
