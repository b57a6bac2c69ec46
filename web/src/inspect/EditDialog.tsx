import { type FormEvent, useState } from "react";
import { MASK, type Actor } from "./api";
import { Dialog } from "./Dialog";
import { useSend } from "./useSend";

/** Edits the state of an actor as JSON, from what it was when the dialog was opened. */
export function EditDialog({ actor, onClose }: { actor: Actor; onClose: () => void }) {
  const [{ rev, text }] = useState(() => ({ rev: actor.rev, text: JSON.stringify(actor.state, null, 2) }));
  const [before, setBefore] = useState<unknown>();
  const { send, sending, error, setError } = useSend();
  const save = async (state: string, at: number) => {
    try {
      JSON.parse(state);
    } catch (e) {
      setError(`This is not JSON: ${(e as Error).message}`);
      return;
    }
    // As text: JavaScript would round large numbers.
    const answer = await send<{ before: unknown }>(`actors/${actor.id}/state`, `{"rev":${at},"state":${state}}`);
    if (answer) setBefore(answer.before);
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    void save(String(new FormData(event.currentTarget).get("state")), rev);
  };
  if (before !== undefined) {
    return (
      <Dialog title="Edit the state" onClose={onClose}>
        <div className="dialog-body">
          <p role="status">The state is saved.</p>
          {error && <p role="alert">{error}</p>}
          <span className="buttons">
            <button type="button" className="primary" onClick={onClose}>
              Done
            </button>
            <button
              type="button"
              disabled={sending}
              onClick={async () => {
                await save(JSON.stringify(before), actor.rev);
                onClose();
              }}
            >
              Undo
            </button>
          </span>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="Edit the state" onClose={onClose}>
      <form className="dialog-body" onSubmit={submit}>
        <p>
          One commit between two turns. The actor is loaded again from it; clients are not told.
          {text.includes(MASK) && ` Leave ${MASK} where a secret stays.`}
        </p>
        <label>
          State
          <textarea name="state" rows={16} spellCheck={false} defaultValue={text} className="code" />
        </label>
        {actor.rev !== rev && <p role="note">The actor has changed since: close and edit again.</p>}
        {error && <p role="alert">{error}</p>}
        <button type="submit" className="primary" disabled={sending}>
          Save
        </button>
      </form>
    </Dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  /** The button's text. */
  action: string;
  /** What is posted to, and what. */
  path: string;
  body?: object;
  /** What people have to type first; nothing if that is left out. */
  type?: string;
  onClose: () => void;
}

/** Asks before it changes something. */
export function ConfirmDialog({ title, text, action, path, body = {}, type, onClose }: ConfirmProps) {
  const { send, sending, error } = useSend();
  const [typed, setTyped] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (await send(path, body)) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="dialog-body" onSubmit={submit}>
        <p>{text}</p>
        {type !== undefined && (
          <label>
            Type its key, {type}
            <input value={typed} onChange={(e) => setTyped(e.target.value)} spellCheck={false} autoComplete="off" />
          </label>
        )}
        {error && <p role="alert">{error}</p>}
        <button type="submit" className="primary" disabled={sending || (type !== undefined && typed !== type)}>
          {action}
        </button>
      </form>
    </Dialog>
  );
}
