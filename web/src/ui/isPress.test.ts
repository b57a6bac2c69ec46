import { expect, it } from "vitest";
import { isPress } from "./isPress";

it.each([
  { what: "Enter", press: { key: "Enter", isComposing: false, keyCode: 13 }, want: true },
  { what: "another key", press: { key: "a", isComposing: false, keyCode: 65 }, want: false },
  { what: "an Enter during a composition", press: { key: "Enter", isComposing: true, keyCode: 229 }, want: false },
  { what: "an Enter that ends one", press: { key: "Enter", isComposing: true, keyCode: 13 }, want: false },
  { what: "an Enter that ends one in Safari", press: { key: "Enter", isComposing: false, keyCode: 229 }, want: false },
])("$what is a press of Enter: $want", ({ press, want }) => {
  expect(isPress(press, "Enter")).toBe(want);
});
