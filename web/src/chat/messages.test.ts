import { describe, expect, it } from "vitest";
import type { Message } from "../registry.gen";
import { type Away, type AwayAction, awayReducer, missedBy, toRows } from "./messages";

const minute = 60_000;
const message = (id: string, timestamp = 0, userId = "ada"): Message => ({ id, userId, text: id, timestamp });

describe("missed messages", () => {
  const loaded = (newest: number): AwayAction => ({ type: "loaded", newest });
  const received = (key: number): AwayAction => ({ type: "received", key });
  const lost: AwayAction = { type: "lost" };
  const back: AwayAction = { type: "restored", recovered: true };
  const reloading: AwayAction = { type: "restored", recovered: false };
  const away = (...actions: AwayAction[]) => actions.reduce(awayReducer, {} as Away);
  const messages = [1, 2, 3, 4, 5, 6].map((n) => message(`${n}`, 0, n === 4 ? "ada" : "bob"));
  const missed = (...actions: AwayAction[]) => missedBy("ada", away(...actions), messages).map(({ id }) => id);

  it("are those of others while the connection was lost", () => {
    expect(missed(loaded(2), lost, received(3), received(4), received(5), back, received(6))).toEqual(["3", "5"]);
  });

  it("are none if nobody wrote any", () => {
    expect(missed(loaded(6), lost, back)).toEqual([]);
  });

  it("are all messages of a room that was empty", () => {
    expect(missed(loaded(0), lost, received(1), received(2), back)).toEqual(["1", "2"]);
  });

  it("are none before the messages were loaded", () => {
    expect(missed(lost, back, loaded(6))).toEqual([]);
    expect(missed(lost, reloading, loaded(6))).toEqual([]);
  });

  it("count from the first loss if the connection is lost again before it recovers", () => {
    expect(missed(loaded(1), lost, received(2), lost, received(3), back)).toEqual(["2", "3"]);
  });

  it("are known when they are loaded, if the events were lost", () => {
    expect(missed(loaded(2), lost, reloading)).toEqual([]);
    expect(missed(loaded(2), lost, reloading, loaded(5))).toEqual(["3", "5"]);
  });

  it("stay when others follow, until the connection is lost again", () => {
    expect(missed(loaded(2), lost, received(3), back, received(5), loaded(6))).toEqual(["3"]);
    expect(missed(loaded(2), lost, received(3), back, received(5), lost, received(6), back)).toEqual(["6"]);
  });
});

describe("rows", () => {
  it("start a group with another author, after a while, and at the first missed message", () => {
    const missed = message("missed", 10 * minute, "bob");
    const rows = toRows(
      [
        message("a", 0),
        message("same", minute),
        message("later", 10 * minute),
        message("bob", 10 * minute, "bob"),
        missed,
      ],
      missed,
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
      toRows([message("a", 0), message("b", day)], undefined, now).map((row) => row.startsDay);
    expect(startsDay(day)).toEqual([true, true]);
    expect(startsDay(0)).toEqual([false, true]);
  });
});
