// As much of a router as three pages need: the path is the state, the History
// API keeps it. Paths are those of the app, without the one below which the server
// is (its flag -base-path).

import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from "react";

const MOVED = "troupe:moved";

/** The path below which the server is, such as `/app`; at the root it is empty. */
export const base = document.documentElement.dataset.troupeBase ?? "";

const currentPath = () =>
  location.pathname.startsWith(`${base}/`) ? location.pathname.slice(base.length) : location.pathname;

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  addEventListener(MOVED, listener);
  return () => {
    removeEventListener("popstate", listener);
    removeEventListener(MOVED, listener);
  };
}

/** The path of the page, such as `/chat/general`. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, currentPath);
}

export function navigate(path: string): void {
  if (path !== currentPath()) history.pushState(null, "", base + path);
  dispatchEvent(new Event(MOVED));
}

/** A link that changes the page without loading it anew. */
export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    // A click that asks for a new tab or a download is the browser's.
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
  };
  return <a href={base + href} onClick={follow} {...rest} />;
}
