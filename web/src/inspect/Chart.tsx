import { type PointerEvent, useId } from "react";
import { time } from "./format";

export interface Series {
  /** Said at the line's end; empty if there is one series only. */
  label: string;
  values: readonly (number | null)[];
}

interface Props {
  title: string;
  /** What one point is: shown under the title. */
  hint: string;
  series: readonly Series[];
  format: (value: number) => string;
  /** When the points were, Unix milliseconds. */
  at: readonly number[];
  /** How many points the width stands for. */
  width: number;
  /** The point that the pointer is at, in any chart of the page. */
  picked: number | undefined;
  onPick: (index: number | undefined) => void;
  /** The least value of the top edge, so that noise near zero does not fill the chart. */
  least?: number;
  /** Steps of the top edge are 1, 2 and 5 times powers of it. */
  base?: 10 | 1024;
  alarm?: boolean;
}

const HEIGHT = 100;

/**
 * A card with the newest value and its course. It names its lines where they end, and says the value under the pointer
 * in all charts of the page at once.
 */
export function Chart({
  title,
  hint,
  series,
  format,
  at,
  width,
  picked,
  onPick,
  least = 1,
  base = 10,
  alarm = false,
}: Props) {
  const id = useId();
  const n = at.length;
  const known = series.flatMap(({ values }) => values.filter((v) => v !== null));
  const highest = known.length ? Math.max(...known) : 0;
  const top = niceAbove(Math.max(highest, least), base);
  const x = (index: number) => width - n + index;
  const y = (value: number) => HEIGHT - (value / top) * HEIGHT;
  const shown = picked ?? n - 1;
  const values = series.map(({ label, values }) => ({
    label,
    value: picked === undefined ? lastOf(values) : (values[shown] ?? null),
  }));
  const text = values.map(({ label, value }) => `${label} ${value === null ? "–" : format(value)}`.trim()).join(", ");

  const move = (event: PointerEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const index = Math.round(((event.clientX - box.left) / box.width) * width) - (width - n);
    onPick(index >= 0 && index < n ? index : undefined);
  };
  return (
    <section className="card chart" data-alarm={alarm || undefined} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <p className="hint">{picked === undefined || !n ? hint : time(at[shown]!)}</p>
      <p className="now">
        {values.map(({ label, value }, i) => (
          <span key={label} className={`value line-${i}`}>
            {label && <small>{label}</small>} {value === null ? "–" : format(value)}
          </span>
        ))}
      </p>
      <div
        className="plot"
        role="img"
        aria-label={`${title}: ${text}; highest ${format(highest)}`}
        onPointerMove={move}
        onPointerDown={move}
        onPointerLeave={() => onPick(undefined)}
      >
        <span className="top" aria-hidden="true">
          {format(top)}
        </span>
        <svg viewBox={`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          <path className="grid" d={`M0 0.5H${width}M0 ${HEIGHT / 2}H${width}`} />
          {series.map(({ label, values }, i) => (
            <g key={label} className={`line-${i}`}>
              {i === 0 && <path className="area" d={area(values, x, y)} />}
              <path className="line" d={line(values, x, y)} />
            </g>
          ))}
          {picked !== undefined && <path className="picked" d={`M${x(picked)} 0V${HEIGHT}`} />}
        </svg>
        {picked !== undefined &&
          values.map(
            ({ label, value }, i) =>
              value !== null && (
                <i
                  key={label}
                  className={`dot line-${i}`}
                  ref={(dot) => {
                    dot?.style.setProperty("left", `${(x(picked) / width) * 100}%`);
                    dot?.style.setProperty("top", `${(y(value) / HEIGHT) * 100}%`);
                  }}
                />
              ),
          )}
      </div>
    </section>
  );
}

const lastOf = (values: readonly (number | null)[]): number | null => values.filter((v) => v !== null).at(-1) ?? null;

/** A round number at or above a value. */
function niceAbove(value: number, base: number): number {
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  return [1, 2, 5, 10, 20, 50, 100, 200, 500, 1024].map((n) => n * power).find((n) => n >= value * 0.999) ?? value;
}

/** A line with gaps where there is no value. A value alone becomes a dot. */
function line(values: readonly (number | null)[], x: (i: number) => number, y: (v: number) => number): string {
  let path = "";
  let drawn = false;
  values.forEach((v, i) => {
    if (v !== null) path += `${drawn ? "L" : "M"}${x(i)} ${y(v).toFixed(2)}${drawn ? "" : "h0.01"}`;
    drawn = v !== null;
  });
  return path;
}

function area(values: readonly (number | null)[], x: (i: number) => number, y: (v: number) => number): string {
  let path = "";
  let start = -1;
  for (let i = 0; i <= values.length; i++) {
    const v = values[i] ?? null;
    if (v !== null) {
      path += start < 0 ? `M${x(i)} ${HEIGHT}L${x(i)} ${y(v).toFixed(2)}` : `L${x(i)} ${y(v).toFixed(2)}`;
      if (start < 0) start = i;
    } else if (start >= 0) {
      path += `L${x(i - 1)} ${HEIGHT}Z`;
      start = -1;
    }
  }
  return path;
}
