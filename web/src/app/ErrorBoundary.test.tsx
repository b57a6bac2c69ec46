// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ErrorBoundary } from "./ErrorBoundary";

afterEach(cleanup);

function Broken(): never {
  throw new Error("the curtain is stuck");
}

it("shows what failed, and offers a reload, until something else is shown", () => {
  vi.spyOn(console, "error").mockImplementation(() => {}); // React reports it
  const { rerender } = render(
    <ErrorBoundary key="a">
      <Broken />
    </ErrorBoundary>,
  );
  expect(screen.getByRole("alert").textContent).toContain("the curtain is stuck");
  expect(screen.getByRole("button", { name: "Reload" })).toBeTruthy();
  rerender(<ErrorBoundary key="b">fine</ErrorBoundary>);
  expect(screen.queryByRole("alert")).toBeNull();
});
