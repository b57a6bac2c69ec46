import { expect, it } from "vitest";
import { find, type Section } from "./search";

const section = (heading: string, text: string): Section => ({
  page: "deploy",
  title: "Deploy",
  anchor: heading,
  heading,
  text,
});
const sections = [
  section("Deploy", "Copy the binary."),
  section("Docker", "An image with a health check."),
  section("nginx", `${"word ".repeat(60)}It blocks WebSockets. ${"word ".repeat(60)}`),
];
const headings = (query: string) => find(sections, query).map(({ section }) => section.heading);

it("finds sections with all words, in text or heading, whatever their case", () => {
  expect(headings("HEALTH image")).toEqual(["Docker"]);
  expect(headings("docker health")).toEqual(["Docker"]);
  expect(headings("health binary")).toEqual([]);
});

it("puts those with the word in a heading first", () => {
  const text = section("Other", "This is about Docker, too.");
  expect(find([text, ...sections], "docker").map(({ section }) => section.heading)).toEqual(["Docker", "Other"]);
});

it("finds nothing without a word", () => {
  expect(headings("  ")).toEqual([]);
});

it("shows the text around the first word", () => {
  expect(find(sections, "websockets")[0]!.excerpt).toMatch(/^… .*blocks WebSockets.* …$/);
  expect(find(sections, "binary")[0]!.excerpt).toBe("Copy the binary.");
});
