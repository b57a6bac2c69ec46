import { describe, expect, it, vi } from "vitest";
import { HEIGHT, RADIUS, WIDTH, World } from "./world";

function world() {
  const w = new World("me");
  w.place("me", { x: 500, y: 300 });
  return w;
}

describe("this tab's player", () => {
  it("moves in the direction it is steered, and stops", () => {
    const w = world();
    w.steer(1, 0);
    const { moving, moved } = w.step(0.1);
    expect(moving).toBe(true);
    expect(moved).toEqual({ x: 534, y: 300 });
    w.steer(0, 0);
    expect(w.step(0.1)).toEqual({ moving: false, moved: undefined });
  });

  it("is not faster diagonally", () => {
    const w = world();
    w.steer(1, 1);
    const { x, y } = w.step(0.1).moved!;
    expect(Math.hypot(x - 500, y - 300)).toBeCloseTo(34);
  });

  it("moves to a position and stops there", () => {
    const w = world();
    w.aim({ x: 520, y: 300 });
    expect(w.step(0.1).moved).toEqual({ x: 520, y: 300 });
    expect(w.step(0.1).moving).toBe(false);
  });

  it("is still moving when no time has passed between two frames", () => {
    const w = world();
    w.aim({ x: 900, y: 300 });
    expect(w.step(0).moving).toBe(true);
    w.steer(0, 1);
    expect(w.step(0).moving).toBe(true);
    w.steer(0, 0);
    expect(w.step(0).moving).toBe(false);
  });

  it("stays on the stage", () => {
    const w = world();
    w.steer(1, 1);
    expect(w.step(60).moved).toEqual({ x: WIDTH - RADIUS, y: HEIGHT - RADIUS });
    w.steer(0, 0);
    w.aim({ x: -50, y: -50 });
    expect(w.step(60).moved).toEqual({ x: RADIUS, y: RADIUS });
  });
});

describe("other players", () => {
  it("glide to their position, and arrive", () => {
    const w = world();
    w.place("ada", { x: 0, y: 0 });
    w.move("ada", { x: 100, y: 0 });
    expect(w.step(0).moving).toBe(true);
    w.step(0.05);
    const { x } = w.bodies.get("ada")!.shown;
    expect(x).toBeGreaterThan(20);
    expect(x).toBeLessThan(80);
    for (let i = 0; i < 100; i++) w.step(0.05);
    expect(w.bodies.get("ada")!.shown).toEqual({ x: 100, y: 0 });
    expect(w.step(0.05).moving).toBe(false);
  });

  it("are at their position at once with reduced motion", () => {
    const w = world();
    w.place("ada", { x: 0, y: 0 });
    w.move("ada", { x: 100, y: 0 });
    w.step(0.05, false);
    expect(w.bodies.get("ada")!.shown).toEqual({ x: 100, y: 0 });
  });

  it("cause a redraw when they join, move and leave", () => {
    const w = world();
    const drawing = vi.fn();
    w.subscribe(drawing);
    w.move("ada", { x: 1, y: 1 });
    w.move("ada", { x: 2, y: 2 });
    w.remove("ada");
    expect(drawing).toHaveBeenCalledTimes(3);
    expect(w.bodies.has("ada")).toBe(false);
  });
});
