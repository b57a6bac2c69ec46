import { useState } from "react";
import { MASK } from "./api";
import { isBranch, join } from "./changes";

const SHOWN_ITEMS = 50;
const SHOWN_CHARS = 300;
const OPEN_DEPTH = 3;

interface Props {
  value: unknown;
  /** Counts the changes of each path: what has changed is marked for a moment. */
  changes: ReadonlyMap<string, number>;
  name?: string;
  path?: string;
  depth?: number;
}

/** JSON as a tree. Arrays and objects can be closed; long ones are shown in parts. */
export function StateTree({ value, changes, name, path = "", depth = 0 }: Props) {
  const count = changes.get(path) ?? 0;
  const label = name !== undefined && <span className="json-name">{`${name}: `}</span>;
  if (!isBranch(value)) {
    return (
      <div className="json-leaf">
        {label}
        <span key={count} className={count ? "flash" : undefined}>
          <Leaf value={value} />
        </span>
      </div>
    );
  }
  return <Branch {...{ value, changes, path, depth, count, label }} />;
}

interface BranchProps extends Required<Pick<Props, "changes" | "path" | "depth">> {
  value: object;
  count: number;
  label: React.ReactNode;
}

function Branch({ value, changes, path, depth, count, label }: BranchProps) {
  const entries = Object.entries(value);
  const [open, setOpen] = useState(depth < OPEN_DEPTH && entries.length <= SHOWN_ITEMS * 2);
  const [shown, setShown] = useState(SHOWN_ITEMS);
  const isArray = Array.isArray(value);
  const size = `${isArray ? "[" : "{"}${entries.length}${isArray ? "]" : "}"}`;
  if (!entries.length) {
    return (
      <div className="json-leaf">
        {label}
        <span key={count} className={count ? "flash" : undefined}>
          {isArray ? "[]" : "{}"}
        </span>
      </div>
    );
  }
  return (
    <details
      className="json-branch"
      open={open}
      onToggle={(e) => e.target === e.currentTarget && setOpen(e.currentTarget.open)}
    >
      <summary>
        {label}
        <span key={count} className={`json-size ${count ? "flash" : ""}`}>
          {size}
        </span>
      </summary>
      {open && (
        <div className="json-members">
          {entries.slice(0, shown).map(([key, member]) => (
            <StateTree key={key} name={key} value={member} changes={changes} path={join(path, key)} depth={depth + 1} />
          ))}
          {entries.length > shown && (
            <button type="button" className="small" onClick={() => setShown(shown * 4)}>
              {entries.length - shown} more
            </button>
          )}
        </div>
      )}
    </details>
  );
}

function Leaf({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false);
  if (value === MASK) return <span className="chip">secret</span>;
  if (typeof value !== "string")
    return <span className={`json-${value === null ? "null" : typeof value}`}>{String(value)}</span>;
  const long = value.length > SHOWN_CHARS && !whole;
  return (
    <bdi className="json-string">
      {JSON.stringify(long ? value.slice(0, SHOWN_CHARS) : value)}
      {long && (
        <button type="button" className="small" onClick={() => setWhole(true)}>
          all {value.length} characters
        </button>
      )}
    </bdi>
  );
}
