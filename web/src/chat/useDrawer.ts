import { useEffect } from "react";
import { isPress } from "../ui/isPress";

/** A panel that slides in on small screens. Its name is the id of the element. */
export type Drawer = "rooms" | "people";

/**
 * Moves the focus into a drawer that opens, and back when it closes. Closes the drawer on Escape, and when the
 * window becomes wide enough for all panels.
 */
export function useDrawer(open: Drawer | undefined, close: () => void): void {
  useEffect(() => {
    if (!open) return;
    const opener = document.activeElement as HTMLElement | null;
    const drawer = document.getElementById(open);
    (drawer?.querySelector<HTMLElement>("a, button") ?? drawer)?.focus();

    const onKeyDown = (event: KeyboardEvent) => isPress(event, "Escape") && close();
    const wide = matchMedia("(min-width: 47.51em)"); // as in chat.css
    document.addEventListener("keydown", onKeyDown);
    wide.addEventListener("change", close);
    return () => {
      document.removeEventListener("keydown", onKeyDown);
      wide.removeEventListener("change", close);
      // After a change of rooms the opener does not exist any more; app/App.tsx then sets the focus.
      if (opener?.isConnected) opener.focus();
      else if (drawer?.contains(document.activeElement)) (document.activeElement as HTMLElement).blur();
    };
  }, [open, close]);
}
