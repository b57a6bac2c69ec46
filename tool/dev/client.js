// Runs in every page of the dev server: it reloads the page, or swaps its style sheet,
// after a build, and shows errors. The released binary does not have it.
(() => {
  const mine = document.currentScript.dataset;
  let { style } = mine;
  let server;
  let dismissed = "";

  new EventSource("/__dev/events").onmessage = ({ data }) => {
    const state = JSON.parse(data);
    if (state.script !== mine.script) return location.reload();
    if (state.style !== style) {
      style = state.style;
      restyle();
    }
    // Connections that wait for their next attempt try now.
    if (server !== undefined && state.server !== server) dispatchEvent(new Event("online"));
    server = state.server;
    show(state.problems);
  };

  /** Loads the new style sheet, and removes the old one once it has loaded. */
  function restyle() {
    const before = document.querySelectorAll('link[rel="stylesheet"][href^="/assets/"]');
    const link = before[0]?.cloneNode();
    if (!link) return location.reload();
    link.href = `${link.getAttribute("href").split("?")[0]}?${style}`;
    link.onload = link.onerror = () => before.forEach((old) => old.remove());
    before[0].after(link);
  }

  /** Shows problems over the page until they are fixed or dismissed. */
  function show(problems) {
    document.querySelector("dev-problems")?.remove();
    const text = JSON.stringify(problems);
    if (!problems.length || text === dismissed) return;
    const overlay = document.createElement("dev-problems");
    overlay.setAttribute("role", "alert");
    // Set from the script, as the page's policy forbids style attributes in HTML.
    overlay.style.cssText = `position: fixed; inset: auto 0 0; z-index: 2147483647; max-height: 70vh; overflow: auto;
      padding: 1rem 1.25rem; border-top: 4px solid #e5484d; background: #1b1416; color: #f6eeee;
      font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;`;
    const close = document.createElement("button");
    close.textContent = "Close";
    close.style.cssText = "float: right; font: inherit; color: inherit; background: #3a2a2d; border: 0; padding: 0.3em 0.8em;";
    close.onclick = () => {
      dismissed = text;
      overlay.remove();
    };
    overlay.append(close);
    for (const { from, text } of problems) {
      const title = document.createElement("strong");
      title.textContent = `${from}\n`;
      title.style.color = "#ff8f93";
      overlay.append(title, `${text}\n\n`);
    }
    document.documentElement.append(overlay);
  }
})();
