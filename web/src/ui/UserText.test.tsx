// @vitest-environment jsdom
import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { isolated, UserText } from "./UserText";

afterEach(cleanup);

it.each([
  { what: "no URL", text: "hello", links: [] },
  { what: "a URL in a sentence", text: "See https://go.dev/doc, please.", links: ["https://go.dev/doc"] },
  { what: "in brackets", text: "(http://a.example/b?c=d#e)", links: ["http://a.example/b?c=d#e"] },
  { what: "two", text: "https://a.example https://b.example", links: ["https://a.example", "https://b.example"] },
  { what: "other schemes", text: "javascript:alert(1) data:text/html,x ftp://a.example", links: [] },
  { what: "HTML", text: '<a href="https://a.example">x</a>', links: ["https://a.example"] },
])("links URLs and nothing else: $what", ({ text, links }) => {
  const { container } = render(<UserText text={text} />);
  expect(container.textContent).toBe(text);
  expect([...container.querySelectorAll("a")].map((a) => a.getAttribute("href"))).toEqual(links);
  expect(container.querySelector("p")!.dir).toBe("auto");
});

it.each([
  { name: "Ada", want: "Ada" },
  { name: "עדה", want: "\u2068עדה\u2069" },
  { name: "مرحبا", want: "\u2068مرحبا\u2069" },
  { name: "\u202eadA", want: "\u2068\u202eadA\u2069" },
])("a name cannot turn what follows it: $name", ({ name, want }) => {
  expect(isolated(name)).toBe(want);
});
