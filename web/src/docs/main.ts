// The script of the documentation's pages: the search, and the button for the theme.
// The pages themselves are HTML that the server has.

import "../ui/base.css";
import "../app/app.css";
import "./docs.css";
import { storedTheme, storeTheme, THEMES } from "../app/theme";
import { PATHS } from "../ui/iconPaths";
import { isPress } from "../ui/isPress";
import { find, type Section } from "./search";

const themeButton = document.querySelector<HTMLButtonElement>("#theme")!;

/** Makes an icon as Icon in ui/icons.tsx does. */
function icon(path: string): SVGElement {
  const make = (name: string, attributes: Record<string, string>) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const svg = make("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" });
  svg.append(make("path", { d: path }));
  return svg;
}

function showTheme(): void {
  const theme = storedTheme();
  themeButton.replaceChildren(icon(PATHS[theme]));
  themeButton.title = `Theme: ${theme}`;
  themeButton.setAttribute("aria-label", themeButton.title);
}

themeButton.addEventListener("click", () => {
  storeTheme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]!);
  showTheme();
});
themeButton.hidden = false;
showTheme();

const input = document.querySelector<HTMLInputElement>("#search")!;
const list = document.querySelector<HTMLOListElement>("#found")!;
let sections: Promise<Section[]> | undefined;

async function search(): Promise<void> {
  const query = input.value;
  sections ??= fetch("search.json").then((response) => response.json() as Promise<Section[]>);
  const found = find(await sections, query);
  if (query !== input.value) return; // somebody has typed on
  list.replaceChildren(
    ...found.map(({ section, excerpt }) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${section.page === "index" ? "./" : section.page}#${section.anchor}`;
      const title = document.createElement("strong");
      title.textContent = section.heading === section.title ? section.title : `${section.title}: ${section.heading}`;
      const text = document.createElement("span");
      text.textContent = excerpt;
      link.append(title, text);
      item.append(link);
      return item;
    }),
  );
  if (query.trim() && !found.length)
    list.append(Object.assign(document.createElement("li"), { textContent: "Nothing found" }));
  list.hidden = !list.childElementCount;
}

input.hidden = false;
input.addEventListener("input", () => void search());
input.addEventListener("keydown", (event) => {
  if (isPress(event, "Enter")) list.querySelector("a")?.click();
  if (isPress(event, "Escape")) {
    input.value = "";
    void search();
  }
});
list.addEventListener("click", () => (list.hidden = true));
