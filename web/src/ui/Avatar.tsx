import type { CSSProperties } from "react";

const SLOTS = 12;
const slots = new Map<string, number>();

/**
 * Returns a hue for an id. In one page an id keeps its colour, and the first twelve ids have colours that differ
 * well; later ones share them.
 */
export function hueOf(id: string): number {
  let slot = slots.get(id);
  if (slot === undefined) {
    let hash = 0;
    for (const char of id) hash = (hash * 31 + char.codePointAt(0)!) >>> 0;
    slot = hash % SLOTS;
    const taken = new Set(slots.values());
    // Five is coprime to twelve: the next colour is far away.
    while (taken.size < SLOTS && taken.has(slot)) slot = (slot + 5) % SLOTS;
    slots.set(id, slot);
  }
  return slot * (360 / SLOTS);
}

/** Sets the hue from which base.css computes colours. */
export const hueStyle = (id: string) => ({ "--hue": hueOf(id) }) as CSSProperties;

/** Up to two initials in a coloured disc. Hidden from screen readers, because the name is beside it. */
export function Avatar({ id, name }: { id: string; name: string }) {
  const initials = name
    .split(/\s+/)
    .filter(Boolean)
    .slice(0, 2)
    .map((word) => [...word][0]!.toUpperCase());
  return (
    <span className="avatar" style={hueStyle(id)} aria-hidden="true">
      {initials.join("")}
    </span>
  );
}
