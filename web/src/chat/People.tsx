import type { Member } from "../registry.gen";
import { Avatar } from "../ui/Avatar";
import { count } from "../ui/text";

/** The members of a room: everybody with a name and a live connection. */
export function People({ members, me, upToDate }: { members: readonly Member[]; me: Member; upToDate: boolean }) {
  return (
    // Scrollable elements must be reachable by keyboard.
    <section className="people" id="people" aria-label="Who is here" tabIndex={0} data-stale={!upToDate}>
      <h2>
        Who is here{" "}
        <span className="count">
          {upToDate ? count(members.length, "person", "people") : members.length > 0 && "when last seen"}
        </span>
      </h2>
      <ul>
        {members.map(({ userId, name }) => (
          <li key={userId}>
            <Avatar id={userId} name={name} />
            <span>
              <bdi>{name}</bdi>
              {userId === me.userId && <small> (you)</small>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
