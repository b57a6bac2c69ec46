export { createClient } from "./client.js";
export { ActorError, type Code } from "./errors.js";
export type { Link, LinkEvents, Transport, WebSocketClass, WebSocketLike } from "./transport/websocket.js";
export type * from "./types.js";
