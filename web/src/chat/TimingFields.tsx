import type { KeyboardEvent } from "react";
import { isPress } from "../ui/isPress";
import { type Choice, isToCome, KEEP, SEND, toInput } from "./timing";

interface Props {
  id: string;
  choice: Choice;
  onChange: (choice: Choice) => void;
  onClose: () => void;
}

/** When the next message is sent, and how long it stays. */
export function TimingFields({ id, choice, onChange, onClose }: Props) {
  const onKeyDown = ({ nativeEvent }: KeyboardEvent) => isPress(nativeEvent, "Escape") && onClose();
  return (
    <div className="timing" id={id} role="group" aria-label="Timing" onKeyDown={onKeyDown}>
      <label>
        Send
        <select
          autoFocus
          value={choice.send}
          onChange={({ target }) =>
            onChange({ ...choice, send: target.value, at: choice.at || toInput(Date.now() + 3_600_000) })
          }
        >
          {Object.entries(SEND).map(([value, { label }]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
          <option value="at">At a time…</option>
        </select>
      </label>
      {choice.send === "at" && (
        <label>
          Date and time
          <input
            type="datetime-local"
            step="any"
            value={choice.at}
            onChange={({ target }) => onChange({ ...choice, at: target.value })}
          />
        </label>
      )}
      <label>
        Disappears
        <select value={choice.keep} onChange={({ target }) => onChange({ ...choice, keep: target.value })}>
          {Object.entries(KEEP).map(([value, { label }]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {!isToCome(choice) && <p role="alert">Choose a time that is not over.</p>}
    </div>
  );
}
