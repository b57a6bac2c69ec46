import type { Position } from "../registry.gen";
import { draw } from "./draw";
import type { World } from "./world";

/**
 * Draws the world into a canvas while something moves, and not at all when
 * nothing does. The function returned stops it.
 *
 * @param onMove told when our own player is somewhere else
 */
export function animate(canvas: HTMLCanvasElement, world: World, onMove: (position: Position) => void): () => void {
  const context = canvas.getContext("2d");
  if (!context) return () => {};
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  let last = 0;

  const render = (now: number) => {
    // After a pause no time has passed: nobody jumps.
    const seconds = last ? Math.min((now - last) / 1000, 0.1) : 1 / 60;
    const { moving, moved } = world.step(seconds, !calm.matches);
    draw(context, world);
    if (moved) onMove(moved);
    last = moving ? now : 0;
    frame = moving ? requestAnimationFrame(render) : 0;
  };
  const wake = () => {
    frame ||= requestAnimationFrame(render);
  };
  const resized = new ResizeObserver(() => {
    const scale = Math.min(devicePixelRatio, 2);
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    wake();
  });
  resized.observe(canvas);
  const unsubscribe = world.subscribe(wake);
  return () => {
    unsubscribe();
    resized.disconnect();
    cancelAnimationFrame(frame);
  };
}
