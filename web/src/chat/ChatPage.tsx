// The chat: rooms on the left, messages in the middle, people on the right.
//
// Accessible names
//   name       textbox "Your name" · button "Join" (to change it: "Save", "Cancel")
//   rooms      navigation "Rooms" with a link per room (current: aria-current) ·
//              textbox "New room" · button "Add room" · button "Change name" ·
//              on a phone button "Rooms" opens it
//   room       heading "# general" · status "Connection" · status "Notice"
//   messages   log "Messages" with a listitem per message (its text is a <p>) ·
//              button "Delete message" · button "Retry" · button "Discard" ·
//              button "New messages" when scrolled up
//   writing    textbox "Message" · button "Send" · button "Timing" opens group "Timing"
//              with combobox "Send" (textbox "Date and time") and combobox "Disappears"
//   later      region "Sent later" with a listitem per message · status "Later" ·
//              button "Cancel: …"
//   people     region "Who is here" with a listitem per member ·
//              on a phone button "Who is here" opens it

import { useCallback, useState } from "react";
import "./chat.css";
import type { Member } from "../registry.gen";
import { randomId, read, write } from "../ui/storage";
import { useStored } from "../ui/useStored";
import { NamePrompt } from "./NamePrompt";
import { Room } from "./Room";
import { RoomList } from "./RoomList";
import { type Drawer, useDrawer } from "./useDrawer";

/** The user: a name that they choose, and an id that stays the same. */
function storedMe(): Member {
  const { userId, name } = read("troupe.me", { userId: "", name: "" });
  return { userId: userId || randomId(), name };
}

export function ChatPage({ room }: { room: string }) {
  const [me, setMe] = useState(storedMe);
  const [naming, setNaming] = useState(!me.name);
  const [rooms, setRooms] = useStored("troupe.rooms", ["general", "random", "help"]);
  const [open, setOpen] = useState<Drawer>();
  const close = useCallback(() => setOpen(undefined), []);
  useDrawer(open, close);
  const [unread, setUnread] = useState<Readonly<Record<string, number>>>({}); // by room
  const onUnread = useCallback((room: string, count: number) => setUnread((all) => ({ ...all, [room]: count })), []);
  const unreadElsewhere = Object.entries(unread).reduce((sum, [name, count]) => sum + (name === room ? 0 : count), 0);

  const join = (name: string) => {
    write("troupe.me", { ...me, name });
    setMe({ ...me, name });
    setNaming(false);
  };
  if (naming) return <NamePrompt name={me.name} room={room} onJoin={join} onCancel={() => setNaming(false)} />;

  const toggle = (drawer: Drawer) => setOpen(open === drawer ? undefined : drawer);
  return (
    <div className="chat" data-open={open} onClick={({ target, currentTarget }) => target === currentTarget && close()}>
      <RoomList
        rooms={rooms.includes(room) ? rooms : [...rooms, room]}
        current={room}
        me={me}
        onAdd={(name) => setRooms([...new Set([...rooms, name])])}
        onRename={() => {
          close();
          setNaming(true);
        }}
        onChosen={close}
        onUnread={onUnread}
      />
      {/* Another room is another connection: the key resets all state. */}
      <Room key={`${room} ${me.name}`} room={room} me={me} unread={unreadElsewhere} open={open} onToggle={toggle} />
    </div>
  );
}
