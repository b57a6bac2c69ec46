import { count } from "./text";

/** Returns the length of a text as the server counts it: in code points, not in UTF-16 code units. */
export const lengthOf = (text: string) => [...text].length;

/** Warns when a text is nearly or actually too long. Nothing is cut off, because the user might not notice that. */
export function LengthNote({ text, max }: { text: string; max: number }) {
  const left = max - lengthOf(text);
  if (left > max / 10) return null;
  if (left >= 0) return <p className="length">{`${count(left, "character")} left`}</p>;
  return (
    <p className="length" role="alert">
      {`${count(-left, "character")} too long: at most ${max} can be sent at once.`}
    </p>
  );
}
