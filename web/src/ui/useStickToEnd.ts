import { type UIEvent, useEffect, useLayoutEffect, useRef, useState } from "react";

const NEAR_PX = 60;

/**
 * Keeps a growing list scrolled to its end, unless the user has scrolled up: then it stays where it is, and unseen
 * is true when there are new items.
 *
 * @param items a new array whenever the list has changed
 * @param own the number of the user's own items that are being sent; when it grows, the list scrolls to its end
 */
export function useStickToEnd(items: readonly unknown[], own = 0) {
  const scroller = useRef<HTMLDivElement>(null);
  /** The list's length when the user scrolled up; undefined at the end. */
  const [leftAt, setLeftAt] = useState<number>();
  const ownBefore = useRef(own);

  const onScroll = ({ currentTarget: element }: UIEvent) => {
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    setLeftAt(atEnd ? undefined : (leftAt ?? items.length));
  };

  useLayoutEffect(() => {
    const wrote = own > ownBefore.current;
    ownBefore.current = own;
    if (wrote || (items.length && leftAt === undefined)) scrollToEnd(scroller.current);
  }, [leftAt, items, own]);

  // A banner, a keyboard or a longer draft takes space; items may grow.
  useEffect(() => {
    const resized = new ResizeObserver(() => {
      if (leftAt === undefined) scrollToEnd(scroller.current);
    });
    for (const element of [scroller.current, scroller.current?.lastElementChild]) {
      if (element) resized.observe(element);
    }
    return () => resized.disconnect();
  }, [leftAt]);

  return {
    scroller,
    onScroll,
    unseen: leftAt !== undefined && items.length > leftAt,
    toEnd: () => scrollToEnd(scroller.current),
  };
}

function scrollToEnd(element: HTMLElement | null) {
  if (element) element.scrollTop = element.scrollHeight;
}
