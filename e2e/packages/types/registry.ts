// A registry as typegen writes it.
export interface Message {
  id: string;
  userId: string;
  text: string;
}
export declare const registry: {
  chatRoom: {
    actions: { sendMessage(userId: string, text: string): Message; getMessages(): Message[] };
    events: { messageReceived: Message };
    params: { userId: string } | undefined;
  };
  gameRoom: { actions: { join(): void }; events: {}; params: { playerId: string }; input: { size: number } };
};
