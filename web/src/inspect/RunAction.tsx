// Runs an action of an actor, as somebody.
//
// Accessible names: region "Run an action" · combobox "Action" · a textbox per argument · textbox "As" ·
// button "Run sendMessage" · status "Result"

import { type FormEvent, useState } from "react";
import type { Action, Actor, Definition } from "./api";
import { StateTree } from "./StateTree";
import { useSend } from "./useSend";

const NONE: ReadonlyMap<string, number> = new Map();

export function RunAction({ actor, definition }: { actor: Actor; definition: Definition }) {
  const [name, setName] = useState(definition.actions[0]?.name ?? "");
  const action = definition.actions.find((a) => a.name === name);
  if (!action) return null;
  return (
    <section className="card" aria-labelledby="run">
      <h2 id="run">Run an action</h2>
      <label>
        Action
        <select value={name} onChange={(e) => setName(e.target.value)}>
          {definition.actions.map((a) => (
            <option key={a.name} value={a.name}>
              {a.name}
              {a.readOnly ? " (only reads)" : ""}
            </option>
          ))}
        </select>
      </label>
      <ActionForm key={name} actor={actor} action={action} as={definition.as?.example} />
    </section>
  );
}

function ActionForm({ actor, action, as }: { actor: Actor; action: Action; as: unknown }) {
  const { send, sending, error, setError } = useSend();
  const [result, setResult] = useState<{ value: unknown; ms: number }>();
  const run = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setResult(undefined);
    let body: string;
    try {
      // The numbers that people write stay as they are: JavaScript would round large ones.
      const args = action.args.map((arg, i) => argText(arg, form.get(`arg${i}`)));
      const who = as === undefined ? "" : `,"as":${jsonText("As", String(form.get("as")))}`;
      body = `{"action":${JSON.stringify(action.name)},"args":[${args.join()}]${who}}`;
    } catch (e) {
      setError((e as Error).message);
      return;
    }
    const begin = performance.now();
    const answer = await send<{ result: unknown }>(`actors/${actor.id}/call`, body);
    if (answer) setResult({ value: answer.result, ms: performance.now() - begin });
  };
  return (
    <form className="action-form" onSubmit={run}>
      {action.signature && <code className="signature">{action.signature}</code>}
      {action.args.map((arg, i) =>
        arg.kind === "boolean" ? (
          <label key={i} className="check">
            <input type="checkbox" name={`arg${i}`} value="true" /> {arg.name}
          </label>
        ) : (
          <label key={i}>
            {arg.name} <small>{arg.type}</small>
            {arg.kind === "json" ? (
              <textarea
                name={`arg${i}`}
                rows={3}
                spellCheck={false}
                defaultValue={JSON.stringify(arg.example, null, 2)}
              />
            ) : (
              <input
                name={`arg${i}`}
                inputMode={arg.kind === "number" ? "decimal" : "text"}
                defaultValue={arg.kind === "number" ? "0" : ""}
                spellCheck={false}
              />
            )}
          </label>
        ),
      )}
      {as !== undefined && (
        <label>
          As <small>what OnAuth would return</small>
          <textarea name="as" rows={3} spellCheck={false} defaultValue={JSON.stringify(as, null, 2)} />
        </label>
      )}
      <button type="submit" className="primary" disabled={sending}>
        Run {action.name}
      </button>
      <div role="status" aria-label="Result" className="result">
        {result && (
          <>
            <span className="chip ok">ok, {Math.round(result.ms)} ms</span>
            {result.value !== null && <StateTree value={result.value} changes={NONE} />}
          </>
        )}
      </div>
      {error && <p role="alert">{error}</p>}
    </form>
  );
}

/** Returns the JSON of an argument. */
function argText(arg: Action["args"][number], value: FormDataEntryValue | null): string {
  if (arg.kind === "boolean") return value ? "true" : "false";
  if (arg.kind === "string") return JSON.stringify(value);
  return jsonText(arg.name, String(value));
}

/** Returns a text, if it is JSON. */
function jsonText(what: string, text: string): string {
  try {
    JSON.parse(text);
  } catch {
    throw new Error(`${what} is not JSON: ${text.slice(0, 80)}`);
  }
  return text;
}
