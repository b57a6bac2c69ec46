import { type ComponentType, memo, useLayoutEffect, useState } from "react";
import { afterPress } from "./afterPress";

/**
 * Makes a component that shows what others do: while a pointer is pressed it keeps the props from before, so that
 * no button moves away beneath the pointer. Its own state is not held up.
 */
export function still<P extends object>(component: ComponentType<P>): ComponentType<P> {
  const Shown = memo(component) as unknown as ComponentType<P>;
  return function Still(props: P) {
    const [shown, show] = useState(props);
    useLayoutEffect(() => afterPress(() => show(props)), [props]);
    return <Shown {...shown} />;
  };
}
