// Icons, inline so that they have the colour of the text around them.

import { PATHS } from "./iconPaths";

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The logo: a curtain that opens on one actor in the light. */
export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#3a0d1c" />
      <path d="M14.5 0h3L24 25a8 3 0 0 1-16 0z" fill="#f0c25a" opacity=".7" />
      <circle cx="16" cy="19.5" r="4.5" fill="#fff3cf" />
      <path d="M0 8a8 8 0 0 1 8-8h5.5C14 12 9.5 21 0 25zM32 8a8 8 0 0 0-8-8h-5.5C18 12 22.5 21 32 25z" fill="#b3264a" />
    </svg>
  );
}
