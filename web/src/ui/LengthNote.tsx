import { count } from "./text";

/** How long a text is for the server: it counts characters, where JavaScript counts halves of some. */
export const lengthOf = (text: string) => [...text].length;

/** Says that a text nears its longest, or is too long. Nothing is cut off: that would go unnoticed. */
export function LengthNote({ text, max }: { text: string; max: number }) {
  const left = max - lengthOf(text);
  if (left > max / 10) return null;
  if (left >= 0) return <p className="length">{count(left, "character")} left</p>;
  return (
    <p className="length" role="alert">
      {count(-left, "character")} too long: at most {max} can be sent at once.
    </p>
  );
}
