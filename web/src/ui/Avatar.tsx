import type { CSSProperties } from "react";

/** Returns a hue for an id: the same id always has the same colour. */
export function hueOf(id: string): number {
  let hash = 0;
  for (const char of id) hash = (hash * 31 + char.codePointAt(0)!) >>> 0;
  return (hash * 137) % 360;
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
