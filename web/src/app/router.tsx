// A small router for three pages, on the History API. Paths do not include the
// server's base path (its flag -base-path).

import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from "react";

const NAVIGATED = "troupe:navigated";

/** The server's base path, such as `/app`; empty at the root. */
export const base = document.documentElement.dataset.troupeBase ?? "";

const currentPath = () =>
  location.pathname.startsWith(`${base}/`) ? location.pathname.slice(base.length) : location.pathname;

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  addEventListener(NAVIGATED, listener);
  return () => {
    removeEventListener("popstate", listener);
    removeEventListener(NAVIGATED, listener);
  };
}

/** The path of the page, such as `/chat/general`. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, currentPath);
}

export function navigate(path: string): void {
  if (path !== currentPath()) history.pushState(null, "", base + path);
  dispatchEvent(new Event(NAVIGATED));
}

/** A link that changes the page without reloading it. */
export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    // Leave clicks that open a new tab or a download to the browser.
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    navigate(href);
  };
  return <a href={base + href} onClick={follow} {...rest} />;
}
