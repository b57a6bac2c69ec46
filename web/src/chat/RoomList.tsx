import { type FormEvent, useEffect, useState } from "react";
import { Link, navigate } from "../app/router";
import type { Member } from "../registry.gen";
import { useActor, useEvent } from "../troupe";
import { Avatar } from "../ui/Avatar";
import { Icon } from "../ui/icons";

interface Props {
  rooms: readonly string[];
  current: string;
  me: Member;
  onAdd: (name: string) => void;
  onRename: () => void;
  onChosen: () => void;
  onUnread: (room: string, count: number) => void;
}

const path = (room: string) => `/chat/${encodeURIComponent(room)}`;

/** Returns a room name that is easy to type into a URL. */
const slug = (name: string) =>
  name
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);

export function RoomList({ rooms, current, me, onAdd, onRename, onChosen, onUnread }: Props) {
  const [name, setName] = useState("");
  const add = (event: FormEvent) => {
    event.preventDefault();
    const room = slug(name);
    if (!room) return;
    onAdd(room);
    setName("");
    onChosen();
    navigate(path(room));
  };
  return (
    <nav className="rooms" id="rooms" aria-label="Rooms">
      <h2>Rooms</h2>
      <ul>
        {rooms.map((room) => (
          <li key={room}>
            <RoomLink room={room} current={room === current} me={me} onClick={onChosen} onUnread={onUnread} />
          </li>
        ))}
      </ul>
      <form onSubmit={add} className="add-room">
        <input
          aria-label="New room"
          placeholder="New room"
          value={name}
          maxLength={40}
          dir="auto"
          onChange={(event) => setName(event.target.value)}
        />
        <button className="icon-button" aria-label="Add room">
          <Icon name="plus" />
        </button>
      </form>
      <div className="me">
        <Avatar id={me.userId} name={me.name} />
        <strong>
          <bdi>{me.name}</bdi>
        </strong>
        <button type="button" onClick={onRename}>
          Change name
        </button>
      </div>
    </nav>
  );
}

interface RoomLinkProps extends Pick<Props, "me" | "onUnread"> {
  room: string;
  current: boolean;
  onClick: () => void;
}

/**
 * A link to a room, with the number of messages that arrived while the user was in another one. Every room has its
 * own connection, and all connections share one socket.
 */
function RoomLink({ room, current, me, onClick, onUnread }: RoomLinkProps) {
  const [unreadIds, setUnreadIds] = useState<readonly string[]>([]);
  const actor = useActor({ name: "chatRoom", key: [room], enabled: !current });
  // Messages that the user sent from another tab do not count as unread.
  useEvent(actor, "messageReceived", ({ id, userId }) => userId !== me.userId && setUnreadIds((ids) => [...ids, id]));
  useEvent(actor, "messageDeleted", ({ messageId }) => setUnreadIds((ids) => ids.filter((id) => id !== messageId)));
  // The banner of the current room shows errors of the link, which all rooms share.
  useEvent(actor, "error", () => {});
  if (current && unreadIds.length) setUnreadIds([]);
  const unread = unreadIds.length;
  useEffect(() => onUnread(room, unread), [onUnread, room, unread]);
  return (
    <Link href={path(room)} aria-current={current ? "page" : undefined} onClick={onClick}>
      <span aria-hidden="true">#</span> <bdi>{room}</bdi>
      {unread > 0 && (
        <span className="badge" aria-label={`${unread} unread`}>
          {unread}
        </span>
      )}
    </Link>
  );
}
