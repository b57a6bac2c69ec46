import go from "source:backend/rooms/stage.go";
import react from "source:web/src/home/useStage.ts";

const FILES = {
  go: { path: "backend/rooms/stage.go", code: go },
  react: { path: "web/src/home/useStage.ts", code: react },
};

/** A file of the project, as it was built into the page. */
export function Code({ of }: { of: keyof typeof FILES }) {
  const { path, code } = FILES[of];
  return (
    <figure className="code" data-of={of}>
      <figcaption>{path}</figcaption>
      {/* Scrollable elements must be reachable by keyboard. */}
      <pre tabIndex={0} role="region" aria-label={path} translate="no">
        <code>
          {code.map(({ class: name, text }, i) => (
            <span key={i} className={name}>
              {text}
            </span>
          ))}
        </code>
      </pre>
    </figure>
  );
}
