// Package transport brings frames to clients and reads theirs: over WebSockets
// (WebSocket), and for clients that cannot have one over posts and server-sent events
// (Stream) or polls (Poll). It knows neither actors nor what a message says.
//
// A transport never waits in Send. What a client does not take at once is kept, one
// frame at most, and the transport ends when it is blocked for too long.
//
// Read the files in this order: frame.go (what is sent), transport.go (how), then
// websocket.go with framecheck.go, and http.go with stream.go, poll.go and posts.go.
package transport
