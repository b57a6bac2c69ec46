// The search of the documentation: every word of the query has to be in a section.

/** The text between two headings, as web/build writes it into search.json. */
export interface Section {
  page: string;
  title: string;
  anchor: string;
  heading: string;
  text: string;
}

export interface Found {
  section: Section;
  /** The text around the first word. */
  excerpt: string;
}

const MOST = 12;

/** Sections with all words of a query, those that have them in a heading first. */
export function find(sections: readonly Section[], query: string): Found[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  return sections
    .map((section) => {
      const heading = `${section.title} ${section.heading}`.toLowerCase();
      const text = section.text.toLowerCase();
      const found = words.every((word) => heading.includes(word) || text.includes(word));
      const rank =
        words.filter((word) => section.heading.toLowerCase().includes(word)).length * 2 +
        words.filter((word) => heading.includes(word)).length;
      return { section, found, rank, at: Math.max(0, text.indexOf(words.find((word) => text.includes(word)) ?? "")) };
    })
    .filter(({ found }) => found)
    .sort((a, b) => b.rank - a.rank)
    .slice(0, MOST)
    .map(({ section, at }) => ({ section, excerpt: excerptOf(section.text, at) }));
}

function excerptOf(text: string, at: number): string {
  const from = Math.max(0, text.lastIndexOf(" ", Math.max(0, at - 30)));
  const part = text.slice(from, from + 110).trim();
  return `${from > 0 ? "… " : ""}${part}${from + 110 < text.length ? " …" : ""}`;
}
