// What the server did in the last 15 minutes.
//
// Accessible names: region per chart, such as "Turns" · region "Nodes" with a table, of a cluster · region "Stored actors" with a
// link per definition · region "Errors"

import { useState } from "react";
import { Link } from "../app/router";
import type { Cluster, Overview, Sample } from "./api";
import { Chart } from "./Chart";
import { bytes, duration, number } from "./format";
import { Live } from "./Live";
import { Nodes } from "./Nodes";
import { useStream } from "./useStream";

const KEPT = 15 * 60;
/** How much the charts show, in seconds: no more than there is. */
const WIDTHS = [2 * 60, 5 * 60, KEPT];

export function OverviewPage() {
  const [samples, setSamples] = useState<Sample[]>([]);
  const [stored, setStored] = useState<Record<string, number>>();
  const [version, setVersion] = useState("");
  const [picked, setPicked] = useState<number>();
  const [cluster, setCluster] = useState<Cluster | null>(null);
  const [node, setNode] = useState("");
  const status = useStream({ view: "overview", ...(node && { node }) }, (name, data) => {
    if (name === "overview") {
      setSamples((data as Overview).samples ?? []);
      setVersion((data as Overview).version);
    } else if (name === "sample") {
      setSamples((before) => [...before, data as Sample].slice(-KEPT));
    } else if (name === "stored") {
      setStored(data);
    } else if (name === "cluster") {
      setCluster(data);
    }
  });

  const at = samples.map((s) => s.at);
  const width = WIDTHS.find((w) => w >= samples.length) ?? KEPT;
  const chart = { at, width, picked, onPick: setPicked };
  const of = (read: (s: Sample) => number | null) => samples.map(read);
  const errors = samples.map((s) => Object.values(s.errors ?? {}).reduce((sum, n) => sum + n, 0));
  const codes: Record<string, number> = {};
  for (const s of samples) for (const [code, n] of Object.entries(s.errors ?? {})) codes[code] = (codes[code] ?? 0) + n;
  const gaps = samples.map((s) => s.gaps);
  const parked = samples.map((s) => s.parked ?? 0);
  const all = Object.entries(stored ?? {}).sort(([, a], [, b]) => b - a);
  const total = all.reduce((sum, [, n]) => sum + n, 0);

  return (
    <div className="page">
      <header className="page-header">
        <h1 tabIndex={-1}>Overview</h1>
        <Live status={status} />
        <p className="muted">
          {cluster && `node ${cluster.nodes.find((n) => n.slot === cluster.self)?.name ?? ""} · `}
          {version && `version ${version} · `}the last {width / 60} minutes
        </p>
      </header>
      <div className="charts">
        <Chart
          {...chart}
          title="Turns"
          hint="per second"
          series={[{ label: "", values: of((s) => s.turns) }]}
          format={number}
        />
        <Chart
          {...chart}
          title="Messages"
          hint="to clients, per second"
          series={[{ label: "", values: of((s) => s.messages) }]}
          format={number}
        />
        <Chart
          {...chart}
          title="Turn time"
          hint="worst 1 % and median"
          series={[
            { label: "p99", values: of((s) => s.turn99) },
            { label: "p50", values: of((s) => s.turn50) },
          ]}
          format={duration}
          least={0.1}
        />
        <Chart
          {...chart}
          title="Commit time"
          hint="worst 1 % and median"
          series={[
            { label: "p99", values: of((s) => s.commit99) },
            { label: "p50", values: of((s) => s.commit50) },
          ]}
          format={duration}
        />
        <Chart
          {...chart}
          title="Sockets"
          hint="open"
          series={[{ label: "", values: of((s) => s.sockets) }]}
          format={number}
          least={5}
        />
        <Chart
          {...chart}
          title="Actors in memory"
          hint="awake"
          series={[{ label: "", values: of((s) => s.awake) }]}
          format={number}
          least={5}
        />
        <Chart
          {...chart}
          title="Memory"
          hint="in use"
          base={1024}
          series={[
            { label: "process", values: of((s) => s.memory) },
            { label: "states and logs", values: of((s) => s.bytes) },
          ]}
          format={bytes}
        />
        <Chart
          {...chart}
          title="Errors"
          hint="per second"
          series={[{ label: "", values: errors }]}
          format={number}
          alarm={errors.slice(-60).some(Boolean)}
          least={5}
        />
        <Chart
          {...chart}
          title="Gaps"
          hint="clients that missed events"
          series={[{ label: "", values: gaps }]}
          format={number}
          alarm={gaps.slice(-60).some(Boolean)}
          least={5}
        />
        <Chart
          {...chart}
          title="Parked messages"
          hint="given up for now"
          series={[{ label: "", values: parked }]}
          format={number}
          alarm={Boolean(parked.at(-1))}
          least={5}
        />
      </div>
      {cluster && (
        <Nodes
          cluster={cluster}
          onShow={(slot) => {
            setNode(String(slot));
            setSamples([]);
            setStored(undefined);
          }}
        />
      )}
      <div className="pair">
        <section className="card" aria-label="Stored actors">
          <h2>Stored actors {stored && <span className="count">{number(total)}</span>}</h2>
          <Bars
            rows={all.map(([name, n]) => ({
              key: name,
              n,
              label: (
                <Link href={`/actors?from=store&name=${encodeURIComponent(name)}${node && `&node=${node}`}`}>
                  {name}
                </Link>
              ),
            }))}
            empty={stored ? "No actor is stored yet." : "Counting…"}
          />
        </section>
        <section className="card" aria-labelledby="codes">
          <h2 id="codes">Errors by code</h2>
          <Bars
            rows={Object.entries(codes)
              .sort(([, a], [, b]) => b - a)
              .map(([code, n]) => ({ key: code, n, label: <code>{code}</code> }))}
            empty="None in the last 15 minutes."
          />
        </section>
      </div>
    </div>
  );
}

interface Bar {
  key: string;
  n: number;
  label: React.ReactNode;
}

function Bars({ rows, empty }: { rows: Bar[]; empty: string }) {
  if (!rows.length) return <p className="muted">{empty}</p>;
  const most = Math.max(...rows.map(({ n }) => n));
  return (
    <ul className="bars">
      {rows.map(({ key, n, label }) => (
        <li key={key}>
          {label}
          <span className="count">{number(n)}</span>
          <meter min={0} max={most} value={n} aria-hidden="true" />
        </li>
      ))}
    </ul>
  );
}
