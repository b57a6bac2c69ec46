import type { Position } from "../registry.gen";
import { draw } from "./draw";
import type { World } from "./world";

/**
 * Draws the world into a canvas while something moves. The function returned stops it.
 *
 * @param onMove is called with the new position when this tab's player has moved
 */
export function animate(canvas: HTMLCanvasElement, world: World, onMove: (position: Position) => void): () => void {
  const context = canvas.getContext("2d");
  if (!context) return () => {};
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  let last = 0;

  const render = (now: number) => {
    // Limit the step after a pause, so that nobody jumps.
    const seconds = last ? Math.min((now - last) / 1000, 0.1) : 1 / 60;
    const { moving, moved } = world.step(seconds, !reducedMotion.matches);
    draw(context, world);
    if (moved) onMove(moved);
    last = moving ? now : 0;
    frame = moving ? requestAnimationFrame(render) : 0;
  };
  const requestFrame = () => {
    frame ||= requestAnimationFrame(render);
  };
  const resized = new ResizeObserver(() => {
    const scale = Math.min(devicePixelRatio, 2);
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    requestFrame();
  });
  resized.observe(canvas);
  const unsubscribe = world.subscribe(requestFrame);
  return () => {
    unsubscribe();
    resized.disconnect();
    cancelAnimationFrame(frame);
  };
}
