// The players on the stage. The world is a plain object and not React state, because
// it is drawn sixty times a second.

import type { Position } from "../registry.gen";

export const WIDTH = 1000;
export const HEIGHT = 600;
export const RADIUS = 20;

const SPEED = 340; // per second
const CATCH_UP = 12; // per second; how fast other players glide to their position

interface Body {
  shown: Position;
  target: Position;
}

export class World {
  readonly bodies = new Map<string, Body>();

  /** Where the spotlight is, while a game is on. */
  #spotlight: Position | undefined;
  #onChange: () => void = () => {};
  #direction: Position = { x: 0, y: 0 };
  #aim: Position | undefined;

  constructor(readonly me: string) {}

  /** Calls listener when there is something new to draw. There is one listener at a time. */
  subscribe(listener: () => void): () => void {
    this.#onChange = listener;
    return () => {
      this.#onChange = () => {};
    };
  }

  get spotlight(): Position | undefined {
    return this.#spotlight;
  }

  /** Moves the spotlight, or switches it off. */
  light(position: Position | undefined): void {
    this.#spotlight = position && { ...position };
    this.#onChange();
  }

  /** Puts a player at a position. */
  place(id: string, position: Position): void {
    this.bodies.set(id, { shown: { ...position }, target: { ...position } });
    this.#onChange();
  }

  /** A player moved: they glide to the position. */
  move(id: string, position: Position): void {
    const body = this.bodies.get(id);
    if (!body) return this.place(id, position);
    body.target = { ...position };
    this.#onChange();
  }

  remove(id: string): void {
    this.bodies.delete(id);
    this.#onChange();
  }

  /** Moves this tab's player in a direction until the next call. x and y are -1, 0 or 1. */
  steer(x: number, y: number): void {
    this.#direction = { x, y };
    if (x || y) this.#aim = undefined;
    this.#onChange();
  }

  /** Moves this tab's player to a position. */
  aim(position: Position): void {
    this.#aim = position;
    this.#onChange();
  }

  /**
   * Advances the world by some seconds, possibly 0 (a browser may draw two frames at one instant). Returns whether
   * any player is still moving, and the new position of this tab's player if that has changed.
   */
  step(seconds: number, glide = true): { moving: boolean; moved?: Position } {
    let moving = false;
    let moved: Position | undefined;
    for (const [id, body] of this.bodies) {
      const before = body.shown;
      if (id === this.me) {
        body.shown = body.target = this.#nextPosition(before, SPEED * seconds);
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

  #nextPosition(from: Position, length: number): Position {
    const { x, y } = this.#direction;
    if (x || y) {
      const scale = length / Math.hypot(x, y);
      return clampToStage({ x: from.x + x * scale, y: from.y + y * scale });
    }
    if (!this.#aim) return from;
    const left = distance(from, this.#aim);
    if (left > length) return clampToStage(towards(from, this.#aim, length / left));
    const there = clampToStage(this.#aim);
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

/** Limits a position to the stage. */
function clampToStage({ x, y }: Position): Position {
  return { x: Math.min(Math.max(x, RADIUS), WIDTH - RADIUS), y: Math.min(Math.max(y, RADIUS), HEIGHT - RADIUS) };
}
