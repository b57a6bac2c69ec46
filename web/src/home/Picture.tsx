// The pictures of the home page, inline so that they have the page's colours.

/** A cable with a plug on its left and a socket on its right; CSS pulls them apart. */
export function PlugPicture() {
  return (
    <svg className="plug-picture" viewBox="0 0 120 40" aria-hidden="true">
      <g className="plug-left">
        <path className="cable" d="M0 20h34" />
        <path className="body" d="M34 11h14a5 5 0 0 1 5 5v8a5 5 0 0 1-5 5H34z" />
        <path className="pins" d="M53 16h9M53 24h9" />
      </g>
      <g className="sparks">
        <path d="M60 7v5M52 9l3 4M68 9l-3 4M60 33v-5M52 31l3-4M68 31l-3-4" />
      </g>
      <g className="plug-right">
        <path className="body" d="M86 11H67a5 5 0 0 0-5 5v8a5 5 0 0 0 5 5h19z" />
        <path className="cable" d="M86 20h34" />
      </g>
    </svg>
  );
}

const PICTURES = {
  chat: (
    <>
      <path className="a" d="M14 12h44a8 8 0 0 1 8 8v16a8 8 0 0 1-8 8H32L20 54V44h-6a8 8 0 0 1-8-8V20a8 8 0 0 1 8-8z" />
      <path className="b" d="M54 50h40a8 8 0 0 1 8 8v12a8 8 0 0 1-8 8h-4v9L78 78H54a8 8 0 0 1-8-8V58a8 8 0 0 1 8-8z" />
      <path className="l" d="M18 24h34M18 33h22M58 60h30M58 68h18" />
    </>
  ),
  game: (
    <>
      <path className="b" d="M54 6 26 76a28 9 0 0 0 56 0z" opacity=".55" />
      <ellipse className="b" cx="54" cy="77" rx="28" ry="8" />
      <circle className="a" cx="54" cy="66" r="12" />
      <circle className="l f" cx="16" cy="58" r="8" />
      <circle className="l f" cx="94" cy="52" r="8" />
    </>
  ),
  news: (
    <>
      <path className="a" d="M18 12h58v60a8 8 0 0 1-8 8H18z" />
      <path className="b" d="M76 28h16v44a8 8 0 0 1-16 0z" />
      <path className="l" d="M28 24h38M28 66h38" />
      <path className="l" d="M52 36h14M52 46h14M52 56h14" />
      <rect className="b" x="28" y="34" width="17" height="23" rx="2" />
    </>
  ),
} as const;

/** A picture of one of the samples. */
export function Picture({ name }: { name: keyof typeof PICTURES }) {
  return (
    <svg className="picture" viewBox="0 0 108 92" aria-hidden="true">
      {PICTURES[name]}
    </svg>
  );
}
