import { type FormEvent, useState } from "react";
import type { Draft, Level } from "../registry.gen";
import { client } from "../troupe";
import { failure } from "../ui/failure";
import { lengthOf, LengthNote } from "../ui/LengthNote";
import { NEWS_KEY } from "./useNews";

const BLANK: Draft = { category: "Theatre", content: "", level: "public" };
/** The server's limits. */
const MAX_CATEGORY = 64;
const MAX_CONTENT = 10_000;
const LEVELS: readonly { level: Level; label: string }[] = [
  { level: "public", label: "Public" },
  { level: "premium", label: "Premium" },
];

/** Publishing needs no connection: it is a single call over HTTP. */
export function PublishForm() {
  const [draft, setDraft] = useState(BLANK);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");

  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const tooLong = lengthOf(draft.content) > MAX_CONTENT;

  /** Clears the form at once. If publishing fails, the article is put back before what was written meanwhile. */
  const publish = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    change({ content: "" });
    try {
      await client.newsRoom.getOrCreate(NEWS_KEY).publishArticle(draft);
    } catch (thrown) {
      setError(failure("published", thrown));
      setDraft((next) => ({ ...next, content: [draft.content, next.content].filter(Boolean).join("\n\n") }));
    }
    setBusy(false);
  };

  return (
    <form className="card publish" onSubmit={publish}>
      <label className="category">
        Category
        <input
          value={draft.category}
          maxLength={MAX_CATEGORY}
          dir="auto"
          onChange={(event) => change({ category: event.target.value })}
        />
      </label>
      <label className="content">
        Article
        <textarea
          rows={2}
          dir="auto"
          required
          placeholder="What is the news?"
          value={draft.content}
          onChange={(event) => change({ content: event.target.value })}
        />
      </label>
      <fieldset>
        <legend>Readers</legend>
        {LEVELS.map(({ level, label }) => (
          <label key={level}>
            <input type="radio" name="level" checked={draft.level === level} onChange={() => change({ level })} />
            {label}
          </label>
        ))}
      </fieldset>
      <button className="primary" disabled={busy || tooLong}>
        {busy ? "Publishing…" : "Publish"}
      </button>
      <LengthNote text={draft.content} max={MAX_CONTENT} />
      {error && <p role="alert">{error}</p>}
    </form>
  );
}
