// Texts that other people wrote: they may be of any script and direction, and as odd as they like.

const URLS = /(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}])/;

/** A text in its own direction, with its URLs as links. */
export function UserText({ text }: { text: string }) {
  return (
    <p dir="auto" className="user-text">
      {text.split(URLS).map((part, i) =>
        i % 2 ? (
          <a key={i} href={part} target="_blank" rel="noreferrer nofollow">
            {part}
          </a>
        ) : (
          part && <span key={i}>{part}</span>
        ),
      )}
    </p>
  );
}

/** Returns a name for use within a text: it cannot turn what follows it. */
export const isolated = (name: string): string =>
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\u200f\u202a-\u202e\u2066-\u2069]/u.test(name)
    ? `\u2068${name}\u2069`
    : name;
