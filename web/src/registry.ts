// The actors of the server, as types: their actions, events, params and input.

/** Something that somebody said in a chat room. */
export interface Message {
  id: string;
  userId: string;
  /** The author's name, if it gave one when it connected. */
  name?: string;
  text: string;
  /** Unix milliseconds. */
  timestamp: number;
}

/** Who is in a chat room. */
export interface Member {
  userId: string;
  name: string;
}

/** What a client passes to connect() of a chat room. */
export interface ChatParams {
  userId?: string;
  name?: string;
}

/** A place on the field: x from 0 to 1000, y from 0 to 600. */
export interface Position {
  x: number;
  y: number;
}

/** What everybody knows of a player. */
export interface PlayerState {
  health: number;
  position: Position;
}

/** The state of a game, by player id. */
export interface Game {
  players: Record<string, PlayerState>;
  started: boolean;
}

/** What a client passes to connect() of a game room. */
export interface GameParams {
  playerId: string;
  role?: string;
  skillLevel?: number;
  authToken?: string;
}

/** For whom an article is. */
export type Level = "public" | "premium";

/** What a reader pays for. */
export type Subscription = "free" | "premium";

/** An article as it is handed in. */
export interface Draft {
  category: string;
  content: string;
  level: Level;
}

/** A published article. */
export interface Article extends Draft {
  id: string;
  /** Unix milliseconds. */
  timestamp: number;
}

/** What a client passes to connect() of a news room. */
export interface NewsParams {
  userId?: string;
  subscription?: Subscription;
}

export const registry = {} as {
  chatRoom: {
    actions: {
      sendMessage(userId: string, text: string): Message;
      deleteMessage(messageId: string): void;
      getMessages(): Message[];
      getMembers(): Member[];
      setTyping(typing: boolean): void;
    };
    events: {
      messageReceived: Message;
      messageDeleted: { messageId: string };
      history: { messages: Message[] };
      membersChanged: { members: Member[] };
      typing: { userId: string; name: string; typing: boolean };
    };
    params: ChatParams | undefined;
    input: undefined;
  };
  gameRoom: {
    actions: {
      updatePlayerPosition(position: Position): void;
      sendPrivateMessage(targetPlayerId: string, message: string): void;
      startGame(): void;
      getGame(): Game;
    };
    events: {
      game: Game;
      gameStarted: { startedAt: number };
      playerJoined: { playerId: string; player: PlayerState };
      playerLeft: { playerId: string };
      playerMoved: { playerId: string; position: Position };
      privateMessage: { from: string; message: string; timestamp: number };
    };
    params: GameParams;
    input: undefined;
  };
  newsRoom: {
    actions: {
      publishArticle(article: Draft): Article;
      getArticles(): Article[];
    };
    events: {
      newArticle: Article;
      articles: { articles: Article[] };
    };
    params: NewsParams | undefined;
    input: undefined;
  };
};
