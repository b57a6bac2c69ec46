import { describe, expect, it } from "vitest";
import type { Message } from "../registry.gen";
import { connectionRestored, type Chat, deleted, emptyChat, connectionLost, merge, received, toRows } from "./messages";

const minute = 60_000;
const message = (id: string, timestamp = 0, userId = "ada"): Message => ({ id, userId, text: id, timestamp });
type Step = (chat: Chat) => Chat;
const after = (...steps: Step[]): Chat => steps.reduce((chat, step) => step(chat), emptyChat);
const hears =
  (id: string, userId = "ada"): Step =>
  (chat) =>
    received(chat, message(id, 0, userId));
const forgets =
  (id: string): Step =>
  (chat) =>
    deleted(chat, id);
const returns: Step = (chat) => connectionRestored(chat, "ada");
const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

describe("messages of the server", () => {
  it("can be deleted", () => {
    expect(ids(after(hears("a"), hears("b"), forgets("a"), forgets("c")).messages)).toEqual(["b"]);
  });

  it("replace known ones in the time that a list covers", () => {
    const known = [message("old", 1), message("deleted", 6), message("kept", 7)];
    expect(ids(merge(known, [message("first", 5), message("kept", 7), message("new", 9)]))).toEqual([
      "old",
      "first",
      "kept",
      "new",
    ]);
    expect(merge(known, [])).toEqual([]);
  });
});

describe("missed messages", () => {
  it("are those of others while the connection was lost", () => {
    const chat = after(hears("a"), connectionLost, hears("b", "bob"), hears("c", "ada"), returns);
    expect(chat.missed).toEqual(["b"]);
    expect(chat.before).toBeUndefined();
  });

  it("are none if nobody wrote any", () => {
    expect(after(hears("a"), connectionLost, returns).missed).toEqual([]);
  });

  it("are all messages of a room that was empty", () => {
    const chat = after(connectionLost, hears("a", "bob"), hears("b", "bob"), returns);
    expect(chat.missed).toEqual(["a", "b"]);
    expect(toRows(chat.messages, chat.missed).map((row) => row.startsMissed)).toEqual([true, false]);
  });

  it("are not those from before, even if the last of these was deleted", () => {
    const chat = after(hears("a", "bob"), hears("b", "bob"), connectionLost, forgets("b"), hears("c", "bob"), returns);
    expect(chat.missed).toEqual(["c"]);
    expect(after(hears("a", "bob"), connectionLost, forgets("a"), returns).missed).toEqual([]);
  });

  it("count from the first loss if the connection is lost again before it recovers", () => {
    expect(
      after(hears("a"), connectionLost, hears("b", "bob"), connectionLost, hears("c", "bob"), returns).missed,
    ).toEqual(["b", "c"]);
  });

  it("keep their divider when the first of them is deleted later", () => {
    const chat = after(connectionLost, hears("a", "bob"), hears("b", "bob"), returns, forgets("a"));
    expect(toRows(chat.messages, chat.missed).map((row) => row.startsMissed)).toEqual([true]);
  });
});

describe("rows", () => {
  it("start a group with another author, after a while, and at the first missed message", () => {
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

  it("start a group when the same author has another name", () => {
    const rows = toRows([
      { ...message("a"), name: "Ada" },
      { ...message("b"), name: "Lady A" },
      { ...message("c"), name: "Lady A" },
    ]);
    expect(rows.map((row) => row.startsGroup)).toEqual([true, true, false]);
  });

  it("start a day, but today only after an earlier one", () => {
    const day = 24 * 60 * minute;
    const startsDay = (now: number) =>
      toRows([message("a", 0), message("b", day)], [], now).map((row) => row.startsDay);
    expect(startsDay(day)).toEqual([true, true]);
    expect(startsDay(0)).toEqual([false, true]);
  });
});
