import { type KeyboardEvent, type PointerEvent, useEffect, useEffectEvent, useRef } from "react";
import type { Position } from "../registry.gen";
import { animate } from "./animate";
import { HEIGHT, WIDTH, type World } from "./world";

// oxfmt-ignore
const KEYS: Record<string, readonly [x: number, y: number]> = {
  ArrowLeft: [-1, 0], KeyA: [-1, 0],
  ArrowRight: [1, 0], KeyD: [1, 0],
  ArrowUp: [0, -1], KeyW: [0, -1],
  ArrowDown: [0, 1], KeyS: [0, 1],
};

interface Props {
  world: World;
  /** Called with the new position of this tab's player. */
  onMove: (position: Position) => void;
}

/** The canvas. Arrow keys, WASD or pointing at a place move the player. */
export function Stage({ world, onMove }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const held = useRef(new Set<string>());
  const report = useEffectEvent(onMove);

  useEffect(() => canvas.current?.focus({ preventScroll: true }), []);
  useEffect(
    () => (canvas.current ? animate(canvas.current, world, (position) => report(position)) : undefined),
    [world],
  );

  const steer = () => {
    let [x, y] = [0, 0];
    for (const code of held.current) {
      x += KEYS[code]![0];
      y += KEYS[code]![1];
    }
    world.steer(Math.sign(x), Math.sign(y));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!KEYS[event.code] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // arrow keys would scroll the page
    held.current.add(event.code);
    steer();
  };
  const release = (code?: string) => {
    if (code) held.current.delete(code);
    else held.current.clear();
    steer();
  };
  const point = (event: PointerEvent<HTMLCanvasElement>) => {
    if (!(event.buttons & 1)) return;
    const box = event.currentTarget.getBoundingClientRect();
    world.aim({
      x: ((event.clientX - box.left) / box.width) * WIDTH,
      y: ((event.clientY - box.top) / box.height) * HEIGHT,
    });
  };

  return (
    <canvas
      ref={canvas}
      className="stage"
      role="application"
      aria-label="Stage: move with the arrow keys or W, A, S, D, or point at a place"
      tabIndex={0}
      onKeyDown={onKeyDown}
      onKeyUp={(event) => release(event.code)}
      onBlur={() => release()}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        point(event);
      }}
      onPointerMove={point}
    />
  );
}
