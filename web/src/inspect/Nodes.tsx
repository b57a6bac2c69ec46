// The nodes of a cluster: which of them have which share of the actors, and the links of the one that is shown.
//
// Accessible names: region "Nodes" · table "Nodes" · button "Show NAME" per node that is not shown

import type { Cluster } from "./api";
import { bytes, number } from "./format";

const STATES = { up: "up", leaving: "leaving, it gives its actors away", sealed: "gone, others have its actors" };

export function Nodes({ cluster, onShow }: { cluster: Cluster; onShow: (slot: number) => void }) {
  const { self, links } = cluster;
  const nodes = [...cluster.nodes].sort((a, b) => a.name.localeCompare(b.name));
  const shown = nodes.find(({ slot }) => slot === self)?.name ?? "this node";
  const facts = [
    ["received", bytes(links.in)],
    ["sent", bytes(links.out)],
    ["under way", bytes(links.unacked)],
    ["gaps", number(links.gaps)],
    ["frames sent again", number(links.repeated)],
    ["sessions lost", number(links.ended)],
  ] as const;
  return (
    <section className="card flush nodes" aria-labelledby="nodes">
      <header className="card-header">
        <h2 id="nodes">
          Nodes <span className="count">{number(nodes.length)}</span>
        </h2>
      </header>
      <table className="rows" aria-labelledby="nodes">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th scope="col" className="n">
              Partitions
            </th>
            <th scope="col">Charts</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((n) => (
            <tr key={n.slot}>
              <td>
                <strong>{n.name}</strong>
              </td>
              <td>{STATES[n.state]}</td>
              <td className="n" data-label="Partitions">
                {number(n.partitions)}
              </td>
              <td>
                {n.slot === self ? (
                  <span className="muted">shown here</span>
                ) : (
                  n.state !== "sealed" && (
                    <button type="button" className="small" onClick={() => onShow(n.slot)}>
                      Show {n.name}
                    </button>
                  )
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <div className="links">
        <h3>Links of {shown} to the others</h3>
        <dl className="facts">
          {facts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </div>
    </section>
  );
}
