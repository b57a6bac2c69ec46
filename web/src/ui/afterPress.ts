// What people press must not move away beneath the pointer: a browser sends no click when it goes down on one element
// and up on another. So what changes the page by itself waits while a pointer is pressed.

/** How long a change still waits after the press: the click of a tap comes later than its pointerup. */
const CLICK_MS = 100;
/** The longest wait, as not every press has an end: the list of a select, or a menu, may take it. */
const LONGEST_MS = 5_000;

let pressed = false;
let timer: ReturnType<typeof setTimeout> | undefined;
let waiting: (() => void)[] = [];

/** Calls `change` at once, or, while a pointer is pressed, soon after the press. Changes keep their order. */
export function afterPress(change: () => void): void {
  if (pressed) waiting.push(change);
  else change();
}

function release(): void {
  pressed = false;
  const changes = waiting;
  waiting = [];
  for (const change of changes) {
    try {
      change();
    } catch (error) {
      reportError(error); // as if it were a listener of its own: the changes behind it are made
    }
  }
}

function releaseIn(ms: number): void {
  clearTimeout(timer);
  timer = setTimeout(release, ms);
}

if (typeof window !== "undefined") {
  const onDown = ({ target }: Event) => {
    if (target instanceof HTMLCanvasElement) return; // there it steers, for as long as somebody likes
    pressed = true;
    releaseIn(LONGEST_MS);
  };
  const onUp = () => releaseIn(CLICK_MS);
  addEventListener("pointerdown", onDown, true);
  addEventListener("pointerup", onUp, true);
  addEventListener("pointercancel", onUp, true);
  addEventListener("click", () => releaseIn(0), true); // behind the click's own listeners
}
