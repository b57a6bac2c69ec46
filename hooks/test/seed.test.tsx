// @vitest-environment jsdom
// The React component of the specification, unchanged but for the import path, with a
// MessageInput, which the specification leaves open.
import { act, fireEvent } from "@testing-library/react";
import { useState } from "react";
import { expect, it } from "vitest";
import type { Turn } from "../../clientjs/test/fakeServer.js";
import type { Message, registry } from "../../clientjs/test/registry.js";
import { createHooks, type Hooks } from "../src/index.js";
import { plainAndStrict, settle } from "./support.js";

let useActor: Hooks<typeof registry>["useActor"];

function MessageInput({ onSend }: { onSend: (text: string) => Promise<void> }) {
  return <button onClick={() => void onSend("Hello everyone!")}>send</button>;
}

function ChatRoom() {
  const [messages, setMessages] = useState<Message[]>([]);

  const chatRoom = useActor({
    name: "chatRoom",
    key: ["general"]
  });

  // Listen for new messages
  chatRoom.useEvent("messageReceived", (message) => {
    setMessages(prev => [...prev, message]);
  });

  // Listen for deleted messages
  chatRoom.useEvent("messageDeleted", ({ messageId }) => {
    setMessages(prev => prev.filter(m => m.id !== messageId));
  });

  const sendMessage = async (text: string) => {
    await chatRoom.connection?.sendMessage("user-123", text);
  };

  return (
    <div>
      {messages.map(message => (
        <div key={message.id}>
          <strong>{message.userId}:</strong> {message.text}
        </div>
      ))}
      <MessageInput onSend={sendMessage} />
    </div>
  );
}

plainAndStrict((world) => {
  it("runs the specification's ChatRoom", async () => {
    world.server.actions["sendMessage"] = (turn: Turn, userId: string, text: string) => {
      const message = { id: "m1", userId, text, timestamp: 1 };
      turn.broadcast("messageReceived", message);
      return message;
    };
    ({ useActor } = createHooks(world.server.createClient<typeof registry>()));
    const { container, getByText } = world.show(<ChatRoom />);
    await settle();
    fireEvent.click(getByText("send"));
    await settle();
    expect(container.textContent).toBe("user-123: Hello everyone!send");

    act(() => world.server.cut());
    world.server.actor("chatRoom", "general").broadcast("messageDeleted", { messageId: "m1" });
    await settle(1000);
    expect(container.textContent).toBe("send");
  });
});
