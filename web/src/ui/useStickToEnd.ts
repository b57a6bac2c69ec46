import { type UIEvent, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

const NEAR_PX = 60;

/**
 * Keeps a growing list scrolled to its end, unless the user has scrolled up: then what the user sees stays in its place,
 * also when items are added above, and unseen is true when there are new items. The list is an `<ol>` or a `<ul>` in the
 * scroller.
 *
 * @param items a new array whenever the list has changed
 * @param own the number of the user's own items that are being sent; when it grows, the list scrolls to its end
 * @param end grows with each new item at the end [the number of items]
 */
export function useStickToEnd(items: readonly unknown[], own = 0, end = items.length) {
  const scroller = useRef<HTMLDivElement>(null);
  /** The list's end when the user scrolled up; undefined at the end. */
  const [leftAt, setLeftAt] = useState<number>();
  const ownBefore = useRef(own);
  /** The first item in view, and where it is. */
  const anchor = useRef<{ item: Element; top: number }>(undefined);

  const remember = useCallback(() => {
    const item = firstInView(scroller.current!);
    anchor.current = item && { item, top: topOf(item, scroller.current!) };
  }, []);
  const restore = useCallback(() => {
    if (anchor.current?.item.isConnected) {
      scroller.current!.scrollTop += topOf(anchor.current.item, scroller.current!) - anchor.current.top;
    }
    remember();
  }, [remember]);

  const onScroll = ({ currentTarget: element }: UIEvent) => {
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    setLeftAt(atEnd ? undefined : (leftAt ?? end));
    remember();
  };

  useLayoutEffect(() => {
    const wrote = own > ownBefore.current;
    ownBefore.current = own;
    if (wrote || (items.length && leftAt === undefined)) scrollToEnd(scroller.current);
    else restore();
  }, [leftAt, items, own, restore]);

  // A banner, a keyboard or a longer draft takes space; items may grow.
  useEffect(() => {
    const resized = new ResizeObserver(() => {
      if (leftAt === undefined) scrollToEnd(scroller.current);
      else restore();
    });
    for (const element of [scroller.current, scroller.current?.lastElementChild]) {
      if (element) resized.observe(element);
    }
    return () => resized.disconnect();
  }, [leftAt, restore]);

  return {
    scroller,
    onScroll,
    isAtEnd: leftAt === undefined,
    unseen: leftAt !== undefined && end > leftAt,
    toEnd: () => scrollToEnd(scroller.current),
  };
}

function scrollToEnd(element: HTMLElement | null) {
  if (element) element.scrollTop = element.scrollHeight;
}

const topOf = (item: Element, scroller: Element) =>
  item.getBoundingClientRect().top - scroller.getBoundingClientRect().top;

/** Returns the first item of the list that is not above the scroller. */
function firstInView(scroller: Element): Element | undefined {
  const items = scroller.querySelector("ol, ul")?.children ?? [];
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = items[middle]!;
    if (topOf(item, scroller) + item.getBoundingClientRect().height > 0) high = middle;
    else low = middle + 1;
  }
  return items[low];
}
