// The stage and who is on it, as it is drawn: sixty times a second, so it is a
// plain object and not React state.

import type { Position } from "../registry.gen";

export const WIDTH = 1000;
export const HEIGHT = 600;
export const RADIUS = 20;

const SPEED = 340; // per second
const CATCH_UP = 12; // per second; how fast others glide to where they are

interface Body {
  shown: Position;
  target: Position;
}

export class World {
  readonly bodies = new Map<string, Body>();

  #changed: () => void = () => {};
  #direction: Position = { x: 0, y: 0 };
  #aim: Position | undefined;

  constructor(readonly me: string) {}

  /** Calls listener, the only one, when there is something new to draw. */
  subscribe(listener: () => void): () => void {
    this.#changed = listener;
    return () => {
      this.#changed = () => {};
    };
  }

  /** Somebody is here, at this place. */
  place(id: string, position: Position): void {
    this.bodies.set(id, { shown: { ...position }, target: { ...position } });
    this.#changed();
  }

  /** Somebody moved: shown as gliding there. */
  move(id: string, position: Position): void {
    const body = this.bodies.get(id);
    if (!body) return this.place(id, position);
    body.target = { ...position };
    this.#changed();
  }

  remove(id: string): void {
    this.bodies.delete(id);
    this.#changed();
  }

  /** Goes in a direction until told otherwise: components are -1, 0 or 1. */
  steer(x: number, y: number): void {
    this.#direction = { x, y };
    if (x || y) this.#aim = undefined;
    this.#changed();
  }

  /** Goes to a place. */
  aim(position: Position): void {
    this.#aim = position;
    this.#changed();
  }

  /**
   * Lets time pass. Returns whether anybody is still on the way, also when no time
   * has passed (a browser may draw two frames of one instant), and our own new
   * place if that has changed.
   */
  step(seconds: number, glide = true): { moving: boolean; moved?: Position } {
    let moving = false;
    let moved: Position | undefined;
    for (const [id, body] of this.bodies) {
      const before = body.shown;
      if (id === this.me) {
        body.shown = body.target = this.#walk(before, SPEED * seconds);
        if (distance(before, body.shown) > 0) moved = body.shown;
        moving ||= this.#aim !== undefined || this.#direction.x !== 0 || this.#direction.y !== 0;
      } else {
        const share = glide ? 1 - Math.exp(-CATCH_UP * seconds) : 1;
        const near = distance(before, body.target) < 0.5;
        body.shown = near ? body.target : towards(before, body.target, share);
        moving ||= distance(body.shown, body.target) > 0;
      }
    }
    return { moving, moved };
  }

  #walk(from: Position, length: number): Position {
    const { x, y } = this.#direction;
    if (x || y) {
      const scale = length / Math.hypot(x, y);
      return inside({ x: from.x + x * scale, y: from.y + y * scale });
    }
    if (!this.#aim) return from;
    const left = distance(from, this.#aim);
    if (left > length) return inside(towards(from, this.#aim, length / left));
    const there = inside(this.#aim);
    this.#aim = undefined;
    return there;
  }
}

function distance(a: Position, b: Position): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

function towards(from: Position, to: Position, share: number): Position {
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}

/** Nobody leaves the stage. */
function inside({ x, y }: Position): Position {
  return { x: Math.min(Math.max(x, RADIUS), WIDTH - RADIUS), y: Math.min(Math.max(y, RADIUS), HEIGHT - RADIUS) };
}
