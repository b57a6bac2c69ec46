import { type UIEvent, useEffect, useLayoutEffect, useRef, useState } from "react";

const NEAR_PX = 60;

/**
 * Keeps a list that grows scrolled to its end, unless the reader has scrolled up:
 * then it stays where it is, and unseen says whether there is more now.
 *
 * @param items another array whenever the list has changed
 * @param own how many items of our own are on their way: whoever writes looks at the end
 */
export function useStickToEnd(items: readonly unknown[], own = 0) {
  const scroller = useRef<HTMLDivElement>(null);
  /** How long the list was when the reader left its end; undefined at the end. */
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

  // A banner, a keyboard or a longer draft takes room away; an item may grow.
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
