// @vitest-environment jsdom
import type { ActorPages } from "@troupe/react";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Message } from "../registry.gen";
import { MessageList } from "./MessageList";

beforeEach(() => {
  class Observer {
    observe() {}
    disconnect() {}
  }
  vi.stubGlobal("IntersectionObserver", Observer);
  vi.stubGlobal("ResizeObserver", Observer);
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const me = { userId: "ada", name: "Ada" };
const messages: Message[] = [{ id: "7", userId: "bob", name: "Bob", text: "seven", timestamp: 0 }];

function pagesOf(some: Partial<ActorPages<number, Message>>): ActorPages<number, Message> {
  const items = messages.map((value) => ({ key: Number(value.id), value }));
  const functions = { loadOlder: vi.fn(), reload: vi.fn() };
  return { items, hasOlder: true, isLoadingOlder: false, status: "ready", error: undefined, ...functions, ...some };
}

const list = (pages: ActorPages<number, Message>, connected = true) => (
  <MessageList
    room="general"
    messages={pages.items.map(({ value }) => value)}
    missed={[]}
    pages={pages}
    outgoing={[]}
    me={me}
    connected={connected}
    onDelete={() => {}}
    onRetry={() => {}}
    onDiscard={() => {}}
  />
);

describe("messages that could not be loaded", () => {
  it.each([
    { what: "the first time", items: [], hasOlder: false },
    { what: "again, with older ones", hasOlder: true },
    { what: "again, with all", hasOlder: false },
  ])("are loaded when the user asks: $what", ({ items = pagesOf({}).items, hasOlder }) => {
    const pages = pagesOf({ items, hasOlder, status: "error", error: new Error("internal_error") });
    render(list(pages));
    expect(screen.getByRole("alert").textContent).toContain("Messages could not be loaded.");
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(pages.reload).toHaveBeenCalledOnce();
    expect(pages.loadOlder).not.toHaveBeenCalled();
  });

  it("are not asked for without a connection: the hook loads them when there is one", () => {
    render(list(pagesOf({ status: "error", error: new Error("closed") }), false));
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("are only the older ones", () => {
    const pages = pagesOf({ error: new Error("internal_error") });
    render(list(pages));
    expect(screen.queryByRole("alert")).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(pages.loadOlder).toHaveBeenCalledOnce();
  });
});

describe("the focus stays in the list when the button that has it disappears", () => {
  const press = (name: string) => {
    const button = screen.getByRole("button", { name });
    button.focus();
    fireEvent.click(button);
  };

  it("of older messages", () => {
    const { rerender } = render(list(pagesOf({})));
    press("Older messages");
    rerender(list(pagesOf({ isLoadingOlder: true })));
    rerender(list(pagesOf({ hasOlder: false })));
    expect(document.activeElement).toBe(screen.getByRole("log"));
  });

  it("of messages that are loaded again", () => {
    const { rerender } = render(list(pagesOf({ status: "error", error: new Error("internal_error") })));
    press("Try again");
    rerender(list(pagesOf({ status: "loading" })));
    expect(screen.queryByRole("alert")).toBeNull();
    expect(document.activeElement).toBe(screen.getByRole("log"));
  });

  it("of the newest message", () => {
    render(list(pagesOf({})));
    const log = screen.getByRole("log");
    Object.defineProperty(log, "scrollHeight", { value: 1_000 });
    fireEvent.scroll(log); // it is at its start
    press("Newest messages");
    fireEvent.scroll(log);
    expect(screen.queryByRole("button", { name: "Newest messages" })).toBeNull();
    expect(document.activeElement).toBe(log);
  });
});
