import { useEffect } from "react";

/** What slides in on a phone, where there is no room for all. It is the id of the element, too. */
export type Drawer = "rooms" | "people";

/**
 * Moves the focus into a drawer that opens and back where it came from, and closes
 * the drawer on Escape, and when there is room for all after all.
 */
export function useDrawer(open: Drawer | undefined, close: () => void): void {
  useEffect(() => {
    if (!open) return;
    const opener = document.activeElement as HTMLElement | null;
    const drawer = document.getElementById(open);
    (drawer?.querySelector<HTMLElement>("a, button") ?? drawer)?.focus();

    const onKeyDown = ({ key }: KeyboardEvent) => key === "Escape" && close();
    const wide = matchMedia("(min-width: 761px)"); // as in chat.css
    document.addEventListener("keydown", onKeyDown);
    wide.addEventListener("change", close);
    return () => {
      document.removeEventListener("keydown", onKeyDown);
      wide.removeEventListener("change", close);
      // After a change of rooms the opener is gone, and the page decides (app/App.tsx).
      if (opener?.isConnected) opener.focus();
      else if (drawer?.contains(document.activeElement)) (document.activeElement as HTMLElement).blur();
    };
  }, [open, close]);
}
