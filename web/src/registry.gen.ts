// Code generated from the Go package github.com/troupe-dev/troupe/backend/rooms (go generate ./...). DO NOT EDIT.

/** Article is a published article. */
export interface Article {
  id: string;
  category: string;
  content: string;
  level: Level;
  /** Unix milliseconds */
  timestamp: number;
}

/**
 * Articles brings a newcomer what it may read of what was published before; and
 * anew, when what it may read is another thing than before.
 */
export interface Articles {
  articles: Article[];
  /** that counts for this reader */
  subscription: Subscription;
}

/** ChatParams is what a client passes to connect(). */
export interface ChatParams {
  userId?: string;
  name?: string;
}

/** Draft is an article as it is handed in. */
export interface Draft {
  category: string;
  content: string;
  level: Level;
}

/** Game tells a newcomer the state of the game. */
export interface Game {
  players: Record<string, PlayerState>;
  started: boolean;
}

/** GameParams is what a client passes to connect(). */
export interface GameParams {
  playerId: string;
  role?: string;
  skillLevel?: number;
  authToken?: string;
}

/** GameStarted tells everybody that the game begins. */
export interface GameStarted {
  /** Unix milliseconds */
  startedAt: number;
}

/**
 * Level says for whom an article is. Another value than its constants does not reach
 * an action.
 */
export type Level = "public" | "premium";

/**
 * Member is the state of a connection to a chat room: who it is. A client that
 * connects without params is nobody in particular, and its UserID is empty.
 */
export interface Member {
  userId: string;
  name: string;
}

/** MembersChanged tells who is here now. */
export interface MembersChanged {
  members: Member[];
}

/** Message is something that somebody said. */
export interface Message {
  id: string;
  userId: string;
  /** the author's, if it gave one when it connected */
  name?: string;
  text: string;
  /** Unix milliseconds */
  timestamp: number;
}

/** MessageDeleted tells everybody that a message is gone. */
export interface MessageDeleted {
  messageId: string;
}

/** MessageReceived tells everybody of a new message. */
export type MessageReceived = Message;

/** NewArticle brings an article to those who may read it. */
export type NewArticle = Article;

/** NewsParams is what a client passes to connect(). */
export interface NewsParams {
  userId?: string;
  /** free: to read as somebody who does not pay */
  subscription?: Subscription;
  /** from POST /api/session, if it has just changed the session */
  pass?: string;
}

/** PlayerJoined tells the others of a new player. */
export interface PlayerJoined {
  playerId: string;
  player: PlayerState;
}

/** PlayerLeft tells that a player is gone. */
export interface PlayerLeft {
  playerId: string;
}

/** PlayerMoved tells the others where a player is now. */
export interface PlayerMoved {
  playerId: string;
  position: Position;
}

/** PlayerState is what everybody knows of a player. */
export interface PlayerState {
  health: number;
  position: Position;
}

/** Position is a place on the field: x from 0 to 1000, y from 0 to 600. */
export interface Position {
  x: number;
  y: number;
}

/** PrivateMessage is a whisper; only its target receives it. */
export interface PrivateMessage {
  from: string;
  message: string;
  /** Unix milliseconds */
  timestamp: number;
}

/** Subscription is what a reader pays for. */
export type Subscription = "free" | "premium";

/** Typing tells the others that somebody began or stopped typing. */
export interface Typing {
  userId: string;
  name: string;
  typing: boolean;
}

/** The actors of the server, by name: their actions, events, params and input. */
export interface Registry {
  /**
   * ChatRoom is a room in which people talk. Its exported fields are its state;
   * its methods whose first parameter is an *actor.Context are its actions.
   */
  chatRoom: {
    actions: {
      /** sendMessage says something, and returns the message as everybody receives it. */
      sendMessage(userId: string, text: string): Message;
      /**
       * deleteMessage takes a message back. A message that does not exist is deleted
       * already.
       */
      deleteMessage(messageId: string): void;
      /** setTyping tells the others whether the caller is typing. */
      setTyping(typing: boolean): void;
      /**
       * getMessages returns what was said. It has a value receiver, which makes it a
       * read-only action.
       */
      getMessages(): Message[];
      /** getMembers returns who is here: everybody with a name and a socket, once. */
      getMembers(): Member[];
    };
    events: {
      /** messageReceived tells everybody of a new message. */
      messageReceived: MessageReceived;
      /** messageDeleted tells everybody that a message is gone. */
      messageDeleted: MessageDeleted;
      /** membersChanged tells who is here now. */
      membersChanged: MembersChanged;
      /** typing tells the others that somebody began or stopped typing. */
      typing: Typing;
    };
    params: ChatParams | undefined;
    input: undefined;
  };
  /** GameRoom is a field on which players move, see one another and whisper. */
  gameRoom: {
    actions: {
      /**
       * updatePlayerPosition moves the caller's player; a place beyond the field is
       * moved to its edge.
       */
      updatePlayerPosition(position: Position): void;
      /** sendPrivateMessage whispers to one player. */
      sendPrivateMessage(targetPlayerId: string, message: string): void;
      /** startGame starts the game, or starts it again. */
      startGame(): void;
      /** getGame returns the state of the game. */
      getGame(): Game;
    };
    events: {
      /** playerMoved tells the others where a player is now. */
      playerMoved: PlayerMoved;
      /** privateMessage is a whisper; only its target receives it. */
      privateMessage: PrivateMessage;
      /** gameStarted tells everybody that the game begins. */
      gameStarted: GameStarted;
      /** game tells a newcomer the state of the game. */
      game: Game;
      /** playerJoined tells the others of a new player. */
      playerJoined: PlayerJoined;
      /** playerLeft tells that a player is gone. */
      playerLeft: PlayerLeft;
    };
    params: GameParams;
    input: undefined;
  };
  /**
   * NewsRoom is a place where articles appear. Some are for everybody, the others
   * for those who pay.
   */
  newsRoom: {
    actions: {
      /** publishArticle publishes an article and returns it. */
      publishArticle(article: Draft): Article;
      /** getArticles returns the articles that the caller may read. */
      getArticles(): Article[];
    };
    events: {
      /** newArticle brings an article to those who may read it. */
      newArticle: NewArticle;
      /**
       * articles brings a newcomer what it may read of what was published before; and
       * anew, when what it may read is another thing than before.
       */
      articles: Articles;
    };
    params: NewsParams | undefined;
    input: undefined;
  };
}

/** The registry for `createClient<typeof registry>(url, { registry })`. The client compares its fingerprints with the server's. */
export const registry = {
  "~contract": "BzFbyGDVGGR11Nkd",
  "~parts": [
    "chatRoom.connect():mVO6",
    "chatRoom.deleteMessage():w0x0",
    "chatRoom.getMembers():oiqb",
    "chatRoom.getMessages():d17B",
    "chatRoom.on(membersChanged):0h8r",
    "chatRoom.on(messageDeleted):1b8T",
    "chatRoom.on(messageReceived):MKf8",
    "chatRoom.on(typing):Jb0P",
    "chatRoom.sendMessage():GoXh",
    "chatRoom.setTyping():FD_J",
    "gameRoom.connect():CTYf",
    "gameRoom.getGame():TNJ8",
    "gameRoom.on(game):H4J7",
    "gameRoom.on(gameStarted):ltoQ",
    "gameRoom.on(playerJoined):u8FW",
    "gameRoom.on(playerLeft):FuEW",
    "gameRoom.on(playerMoved):e6H7",
    "gameRoom.on(privateMessage):HWGo",
    "gameRoom.sendPrivateMessage():_EqV",
    "gameRoom.startGame():sgAb",
    "gameRoom.updatePlayerPosition():ZbUP",
    "newsRoom.connect():Hu5a",
    "newsRoom.getArticles():W8Mq",
    "newsRoom.on(articles):BCgG",
    "newsRoom.on(newArticle):3Czy",
    "newsRoom.publishArticle():sXOT",
  ],
} as unknown as Registry;
