import { expect, it } from "vitest";
import { type Entry, tally } from "./useLog";

const line = (number: number) => ({ number, from: "Ada", text: "" });
const heard = (...numbers: number[]): Entry[] =>
  numbers.map((number, id) => ({ id, event: "spoken", line: line(number), replayed: false }));

it.each([
  { what: "nothing", log: heard(), lines: [], want: { said: 0, heard: 0, twice: 0 } },
  { what: "all", log: heard(1, 2), lines: [1, 2], want: { said: 2, heard: 2, twice: 0 } },
  { what: "not yet all", log: heard(1), lines: [1, 2, 3], want: { said: 3, heard: 1, twice: 0 } },
  { what: "a line that waits", log: heard(1), lines: [1, 0], want: { said: 1, heard: 1, twice: 0 } },
  {
    what: "lines before the page was loaded",
    log: heard(7, 8),
    lines: [5, 6, 7, 8],
    want: { said: 2, heard: 2, twice: 0 },
  },
  { what: "a line twice", log: heard(1, 1), lines: [1], want: { said: 1, heard: 1, twice: 1 } },
])("counts $what", ({ log, lines, want }) => {
  expect(tally(log, lines.map(line))).toEqual(want);
});
