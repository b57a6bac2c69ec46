export interface Message {
  id: string;
  userId: string;
  text: string;
  timestamp: number;
}

export const registry = {} as {
  chatRoom: {
    actions: {
      sendMessage(userId: string, text: string): Message;
      deleteMessage(messageId: string): void;
      getMessages(): Message[];
    };
    events: { messageReceived: Message; messageDeleted: { messageId: string } };
    params: { userId?: string; name?: string } | undefined;
    input: undefined;
  };
};
