import { describe, expect, test } from "vitest";
import { changedPaths } from "./changes";

describe("changedPaths", () => {
  test.each([
    [{ a: 1 }, { a: 1 }, []],
    [{ a: 1, b: 2 }, { a: 1, b: 3 }, [".b"]],
    [{ a: { b: [1, 2] } }, { a: { b: [1, 3] } }, [".a.b.1"]],
    [[1], [1, 2], [".1"]],
    [[1, 2], [1], [""]],
    [{ a: 1 }, {}, [""]],
    [{ a: [1] }, { a: { 0: 1 } }, [".a"]],
    [{ a: null }, { a: {} }, [".a"]],
    [undefined, { a: 1 }, [""]],
  ])("from %j to %j", (before, after, want) => {
    expect([...changedPaths(before, after)]).toEqual(want);
  });
});
