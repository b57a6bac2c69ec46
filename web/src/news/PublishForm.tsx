import { type FormEvent, useState } from "react";
import type { Draft, Level } from "../registry";
import { client } from "../troupe";
import { PAPER } from "./useNews";

const BLANK: Draft = { category: "Theatre", content: "", level: "public" };
const LEVELS: readonly { level: Level; label: string }[] = [
  { level: "public", label: "Public" },
  { level: "premium", label: "Premium" },
];

/** Publishing needs no connection: it is a single call over HTTP. */
export function PublishForm() {
  const [draft, setDraft] = useState(BLANK);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");

  const publish = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await client.newsRoom.getOrCreate(PAPER).publishArticle(draft);
      setDraft({ ...draft, content: "" });
    } catch (thrown) {
      setError(thrown instanceof Error ? thrown.message : String(thrown));
    } finally {
      setBusy(false);
    }
  };

  return (
    <form className="card publish" onSubmit={publish}>
      <label className="category">
        Category
        <input value={draft.category} maxLength={64} onChange={(event) => setDraft({ ...draft, category: event.target.value })} />
      </label>
      <label className="content">
        Article
        <textarea
          rows={2}
          required
          maxLength={10_000}
          placeholder="What is the news?"
          value={draft.content}
          onChange={(event) => setDraft({ ...draft, content: event.target.value })}
        />
      </label>
      <fieldset>
        <legend>For whom?</legend>
        {LEVELS.map(({ level, label }) => (
          <label key={level}>
            <input type="radio" name="level" checked={draft.level === level} onChange={() => setDraft({ ...draft, level })} />
            {label}
          </label>
        ))}
      </fieldset>
      <button className="primary" disabled={busy}>
        Publish
      </button>
      {error && <p role="alert">{error}</p>}
    </form>
  );
}
