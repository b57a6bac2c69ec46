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
 * Articles has all articles that a reader may read. It is sent to a new connection,
 * and again when the reader's subscription changes.
 */
export interface Articles {
  articles: Article[];
  /** of this reader */
  subscription: Subscription;
}

/** ChatParams are the params that a client passes to connect(). */
export interface ChatParams {
  userId?: string;
  name?: string;
}

/** Draft is an article before it is published. */
export interface Draft {
  category: string;
  content: string;
  level: Level;
}

/** Game is the state of the game, sent to a new connection. */
export interface Game {
  players: Record<string, PlayerState>;
  started: boolean;
  round: Round;
}

/** GameEnded is sent to everyone when the minute is over. */
export interface GameEnded {
  scores: Record<string, number>;
  /** in order of their ids; several if they have as many points */
  winners: string[];
}

/** GameParams are the params that a client passes to connect(). */
export interface GameParams {
  playerId: string;
  role?: string;
  skillLevel?: number;
  authToken?: string;
}

/** GameStarted is sent to everyone when the game starts. */
export interface GameStarted {
  /** Unix milliseconds */
  startedAt: number;
  round: Round;
}

/** Later is a message that is sent at a later time. */
export interface Later {
  /** for cancelLater */
  id: string;
  userId: string;
  name?: string;
  text: string;
  /** Unix milliseconds */
  at: number;
  keepMs?: number;
}

/** LaterChanged has the messages that a user will send later. It is sent to that user. */
export interface LaterChanged {
  later: Later[];
}

/**
 * Level is the audience of an article. Calls with a value other than its constants are
 * refused.
 */
export type Level = "public" | "premium";

/**
 * Member is the state of a connection to a chat room: its user. A client that connects
 * without params is anonymous: its UserID is empty.
 */
export interface Member {
  userId: string;
  name: string;
}

/** MembersChanged has the current members. */
export interface MembersChanged {
  members: Member[];
}

/** Message is a chat message. */
export interface Message {
  /** its key in History */
  id: string;
  userId: string;
  /** the author's, if the connection has one */
  name?: string;
  text: string;
  /** Unix milliseconds */
  timestamp: number;
  /** when it deletes itself, Unix milliseconds */
  deletedAt?: number;
}

/** MessageDeleted is sent to everyone when a message is deleted. */
export interface MessageDeleted {
  messageId: string;
}

/** MessageReceived is a new message, sent to everyone. */
export type MessageReceived = Message;

/** NewArticle is a new article, sent to the readers who may read it. */
export type NewArticle = Article;

/** NewsParams are the params that a client passes to connect(). */
export interface NewsParams {
  userId?: string;
  /** free: read without the subscription */
  subscription?: Subscription;
  /** from POST /api/session, if the session has just changed */
  pass?: string;
}

/** Page is a part of a Table, as clients get it: useActorPages shows pages that an action returns. */
export interface Page<K, V> {
  /** in the order of their keys */
  items: { key: K; value: V }[];
  /** the table has items before them */
  hasBefore: boolean;
  /** the table has items after them */
  hasAfter: boolean;
}

/** PlayerJoined is sent to the others when a player joins. */
export interface PlayerJoined {
  playerId: string;
  player: PlayerState;
}

/** PlayerLeft is sent to everyone when a player leaves. */
export interface PlayerLeft {
  playerId: string;
}

/** PlayerMoved is sent to the others when a player moves. */
export interface PlayerMoved {
  playerId: string;
  position: Position;
}

/** PlayerState is the public state of a player. */
export interface PlayerState {
  health: number;
  position: Position;
}

/** Position is a place on the field: x from 0 to 1000, y from 0 to 600. */
export interface Position {
  x: number;
  y: number;
}

/** PrivateMessage is a whisper, sent to its target only. */
export interface PrivateMessage {
  from: string;
  message: string;
  /** Unix milliseconds */
  timestamp: number;
}

/** Round is what counts in a game. */
export interface Round {
  /** Unix milliseconds */
  endsAt: number;
  spotlight: Position;
  /** by player id; without those who have no point */
  scores: Record<string, number>;
}

/** Spoken is an event: clients listen to "spoken". */
export interface Spoken {
  number: number;
  from: string;
  text: string;
}

/** SpotlightCaught is sent to everyone when a player has reached the spotlight. */
export interface SpotlightCaught {
  playerId: string;
  /** of that player now */
  score: number;
  spotlight: Position;
}

/** Subscription is the subscription of a reader. */
export type Subscription = "free" | "premium";

/** Timing says when a message is sent, and when it deletes itself. */
export interface Timing {
  /** when it is sent, Unix milliseconds; omit it to send now */
  at?: number;
  /** milliseconds until it is deleted; omit it to keep the message */
  keepMs?: number;
}

/** Typing is sent to the others when someone starts or stops typing. */
export interface Typing {
  userId: string;
  name: string;
  typing: boolean;
}

/** The actors of the server, by name: their actions, events, params and input. */
export interface Registry {
  /**
   * ChatRoom is a room in which people talk. Its exported fields are its state, and its
   * methods whose first parameter is an *actor.Context are its actions.
   */
  chatRoom: {
    actions: {
      /** sendMessage adds a message, sends it to everyone, and returns it. */
      sendMessage(userId: string, text: string): Message;
      /** deleteMessage deletes a message. It succeeds if the message does not exist. */
      deleteMessage(messageId: string): void;
      /** setTyping tells the others whether the caller is typing. */
      setTyping(typing: boolean): void;
      /**
       * getMessages returns the newest messages: 200, or as many as are 256 KiB of JSON, oldest
       * first. Its value receiver makes it a read-only action.
       */
      getMessages(): Message[];
      /** getPage returns the last n messages before a key, or of all if it is null: 100 at most. */
      getPage(before: number | null, n: number): Page<number, Message>;
      /** getMembers returns the members: every user who is online, once. */
      getMembers(): Member[];
      /**
       * sendTimed sends a message at a time, or one that deletes itself, or both. A time that is
       * over means now.
       */
      sendTimed(userId: string, text: string, t: Timing): void;
      /** cancelLater removes a message that is not sent yet. It succeeds if there is none. */
      cancelLater(id: string): void;
      /** getLater returns the messages that the caller will send, the next one first. */
      getLater(): Later[];
    };
    events: {
      /** messageReceived is a new message, sent to everyone. */
      messageReceived: MessageReceived;
      /** messageDeleted is sent to everyone when a message is deleted. */
      messageDeleted: MessageDeleted;
      /** membersChanged has the current members. */
      membersChanged: MembersChanged;
      /** typing is sent to the others when someone starts or stops typing. */
      typing: Typing;
      /** laterChanged has the messages that a user will send later. It is sent to that user. */
      laterChanged: LaterChanged;
    };
    params: ChatParams | undefined;
    input: undefined;
  };
  /**
   * GameRoom is a field on which players move, see each other and whisper. A game takes a
   * minute: who reaches the spotlight gets a point, and it moves elsewhere.
   */
  gameRoom: {
    actions: {
      /**
       * updatePlayerPosition moves the caller's player. A position beyond the field becomes the
       * nearest one on its edge.
       */
      updatePlayerPosition(position: Position): void;
      /** sendPrivateMessage whispers to one player. */
      sendPrivateMessage(targetPlayerId: string, message: string): void;
      /** startGame starts or restarts the game. */
      startGame(): void;
      /** getGame returns the state of the game. */
      getGame(): Game;
    };
    events: {
      /** playerMoved is sent to the others when a player moves. */
      playerMoved: PlayerMoved;
      /** privateMessage is a whisper, sent to its target only. */
      privateMessage: PrivateMessage;
      /** gameStarted is sent to everyone when the game starts. */
      gameStarted: GameStarted;
      /** spotlightCaught is sent to everyone when a player has reached the spotlight. */
      spotlightCaught: SpotlightCaught;
      /** gameEnded is sent to everyone when the minute is over. */
      gameEnded: GameEnded;
      /** game is the state of the game, sent to a new connection. */
      game: Game;
      /** playerJoined is sent to the others when a player joins. */
      playerJoined: PlayerJoined;
      /** playerLeft is sent to everyone when a player leaves. */
      playerLeft: PlayerLeft;
    };
    params: GameParams;
    input: undefined;
  };
  /** NewsRoom publishes articles: some for everyone, the others for subscribers. */
  newsRoom: {
    actions: {
      /** publishArticle publishes an article and returns it. */
      publishArticle(article: Draft): Article;
      /** getArticles returns the articles that the caller may read. */
      getArticles(): Article[];
    };
    events: {
      /** newArticle is a new article, sent to the readers who may read it. */
      newArticle: NewArticle;
      /**
       * articles has all articles that a reader may read. It is sent to a new connection,
       * and again when the reader's subscription changes.
       */
      articles: Articles;
    };
    params: NewsParams | undefined;
    input: undefined;
  };
  /** Stage is an actor: its fields are its state, its methods its actions. */
  stage: {
    actions: {
      /** say adds a line. The new state and the event are one commit. */
      say(from: string, text: string): void;
      /** getLines only reads: its receiver is a value. */
      getLines(): Spoken[];
    };
    events: {
      /** spoken is an event: clients listen to "spoken". */
      spoken: Spoken;
    };
    params: undefined;
    input: undefined;
  };
}

/** The registry for `createClient<typeof registry>(url, { registry })`. The client compares its fingerprints with the server's. */
export const registry = {
  "~contract": "EEWSzSmEuNu75uKu",
  "~parts": [
    "chatRoom.cancelLater():w0x0",
    "chatRoom.connect():mVO6",
    "chatRoom.deleteMessage():w0x0",
    "chatRoom.getLater():N53e",
    "chatRoom.getMembers():oiqb",
    "chatRoom.getMessages():EsU4",
    "chatRoom.getPage():9KlY",
    "chatRoom.on(laterChanged):buQj",
    "chatRoom.on(membersChanged):0h8r",
    "chatRoom.on(messageDeleted):1b8T",
    "chatRoom.on(messageReceived):qITY",
    "chatRoom.on(typing):Jb0P",
    "chatRoom.sendMessage():BEwt",
    "chatRoom.sendTimed():ij3a",
    "chatRoom.setTyping():FD_J",
    "gameRoom.connect():CTYf",
    "gameRoom.getGame():ooGk",
    "gameRoom.on(game):AH20",
    "gameRoom.on(gameEnded):lmuz",
    "gameRoom.on(gameStarted):D_EG",
    "gameRoom.on(playerJoined):u8FW",
    "gameRoom.on(playerLeft):FuEW",
    "gameRoom.on(playerMoved):e6H7",
    "gameRoom.on(privateMessage):HWGo",
    "gameRoom.on(spotlightCaught):xGv0",
    "gameRoom.sendPrivateMessage():_EqV",
    "gameRoom.startGame():sgAb",
    "gameRoom.updatePlayerPosition():ZbUP",
    "newsRoom.connect():Hu5a",
    "newsRoom.getArticles():W8Mq",
    "newsRoom.on(articles):BCgG",
    "newsRoom.on(newArticle):3Czy",
    "newsRoom.publishArticle():sXOT",
    "stage.getLines():me-7",
    "stage.on(spoken):l8WJ",
    "stage.say():_EqV",
  ],
} as unknown as Registry;
