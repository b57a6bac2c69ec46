// The tables of an actor, page by page: they are as large as they like.
//
// Accessible names: region "Tables" · per table a button "Show history", then table "history", button "More items"

import { useState } from "react";
import { get, type Actor, type Items, type Table } from "./api";
import { bytes, number } from "./format";
import { StateTree } from "./StateTree";

const NONE: ReadonlyMap<string, number> = new Map();

export function Tables({ actor }: { actor: Actor }) {
  if (!actor.tables.length) return null;
  return (
    <section className="card flush" aria-labelledby="tables">
      <header className="card-header">
        <h2 id="tables">Tables</h2>
      </header>
      {actor.tables.map((table) => (
        <ItemList key={table.field} actor={actor} table={table} />
      ))}
    </section>
  );
}

function ItemList({ actor, table }: { actor: Actor; table: Table }) {
  const [items, setItems] = useState<Items["items"]>();
  const [more, setMore] = useState(false);
  const [error, setError] = useState("");
  const load = async (before: Items["items"]) => {
    try {
      const after = before.at(-1)?.key;
      const page = await get<Items>(`actors/${actor.id}/tables/${encodeURIComponent(table.field)}`, {
        limit: "25",
        backward: "1", // what is new is at the end
        ...(after !== undefined && { after }),
      });
      setItems([...before, ...page.items]);
      setMore(page.more);
      setError("");
    } catch (e) {
      setError((e as Error).message);
    }
  };
  return (
    <div className="table-part">
      <p className="conn-head">
        <strong>{table.field}</strong>
        <span className="muted">
          {number(table.len)} items, {bytes(table.bytes)}
        </span>
        <button type="button" className="small" onClick={() => void load([])}>
          {items ? `Reload ${table.field}` : `Show ${table.field}`}
        </button>
      </p>
      {error && <p role="alert">{error}</p>}
      {items && (
        <table className="rows dense" aria-label={table.field}>
          <thead>
            <tr>
              <th scope="col">Key</th>
              <th scope="col">Value</th>
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={item.key}>
                <td data-label="Key">
                  <bdi>{item.key}</bdi>
                </td>
                <td data-label="Value">
                  <StateTree value={item.value} changes={NONE} depth={2} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {more && (
        <button type="button" className="small" onClick={() => void load(items!)}>
          More items
        </button>
      )}
    </div>
  );
}
