import { expect, it } from "vitest";
import { read } from "./storage";

const stored = (text: string | null) => () => ({ getItem: () => text }) as unknown as Storage;

it.each([
  { what: "nothing", text: null, fallback: "none", want: "none" },
  { what: "no JSON", text: "{", fallback: "none", want: "none" },
  { what: "null", text: "null", fallback: { a: "" }, want: { a: "" } },
  { what: "another type", text: "7", fallback: "none", want: "none" },
  { what: "an object for an array", text: "{}", fallback: ["a"], want: ["a"] },
  { what: "an array with another type in it", text: '["b", null]', fallback: ["a"], want: ["a"] },
  { what: "an object that lacks a field", text: '{"a": "x"}', fallback: { a: "", b: "" }, want: { a: "", b: "" } },
  { what: "the same form", text: '{"a": "x", "b": ["y"]}', fallback: { a: "", b: [] }, want: { a: "x", b: ["y"] } },
])("reads $what, or falls back", ({ text, fallback, want }) => {
  expect(read<unknown>("key", fallback, stored(text))).toEqual(want);
});
