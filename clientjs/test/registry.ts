// The actors of the seed snippets and the type tests.

export interface Message {
  id: string;
  userId: string;
  text: string;
  timestamp: number;
}

export interface Position {
  x: number;
  y: number;
}

export interface Article {
  id: string;
  category: string;
  content: string;
  level: "public" | "premium";
  timestamp: number;
}

export const registry = {} as {
  chatRoom: {
    actions: {
      sendMessage(userId: string, text: string): Message;
      deleteMessage(messageId: string): void;
      getMessages(): Message[];
    };
    events: {
      messageReceived: Message;
      messageDeleted: { messageId: string };
      importantUpdate: { text: string };
    };
    params: { userId?: string; name?: string } | undefined;
    input: undefined;
  };
  gameRoom: {
    actions: {
      updatePlayerPosition(position: Position): void;
      sendPrivateMessage(targetPlayerId: string, message: string): void;
      startGame(): void;
    };
    events: {
      playerMoved: { playerId: string; position: Position };
      privateMessage: { from: string; message: string; timestamp: number };
      gameStarted: { startedAt: number };
    };
    params: { playerId: string; role?: string; skillLevel?: number; authToken?: string };
    input: { size: number };
  };
  newsRoom: {
    actions: { publishArticle(article: Omit<Article, "id" | "timestamp">): Article };
    events: { newArticle: Article };
    params: { userId?: string; subscription?: "free" | "premium" } | undefined;
  };
};
