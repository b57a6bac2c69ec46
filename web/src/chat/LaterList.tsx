import { useRef } from "react";
import type { Later } from "../registry.gen";
import { Icon } from "../ui/icons";
import { still } from "../ui/still";
import { count, formatWhen } from "../ui/text";
import { UserText } from "../ui/UserText";

interface Props {
  later: readonly Later[];
  onCancel: (id: string) => void;
}

/** The messages of the user that are sent later. Others do not see them. */
export const LaterList = still(function LaterList({ later, onCancel }: Props) {
  const title = later.length > 0 ? `${count(later.length, "message")} will be sent later` : "";
  const section = useRef<HTMLElement>(null);
  /** Keeps the focus here, because the button that has it disappears. */
  const cancel = (id: string) => {
    onCancel(id);
    section.current?.focus({ preventScroll: true });
  };
  return (
    <section ref={section} tabIndex={-1} className="later" aria-label="Sent later" data-empty={later.length === 0}>
      {/* Always there, so that screen readers say what changes in it. */}
      <p role="status" aria-label="Later">
        {title}
      </p>
      <ul>
        {later.map(({ id, text, at }) => (
          <li key={id}>
            <Icon name="clock" />
            <time dateTime={new Date(at).toISOString()}>{formatWhen(at)}</time>
            <UserText text={text} />
            <button type="button" aria-label={`Cancel: ${text}`} onClick={() => cancel(id)}>
              Cancel
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
});
