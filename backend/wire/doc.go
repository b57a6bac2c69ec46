// Package wire is the protocol between a client and a gateway. The Go and the
// TypeScript tests read the same golden frames in testdata, so that the two
// implementations cannot drift apart.
//
// # Frames
//
// A socket is opened with GET /api/socket?v=1, or over HTTP (below). A frame is
// JSON text: one message (an object) or several (an array of objects). Every
// message has a type t. A message of a connection has a channel c, a number from 1
// that the client chooses and never uses twice on one socket; one socket carries
// the connections of all actors that a page uses. The server speaks first.
// A receiver ignores unknown fields, so either side may add some.
//
// # From the client
//
//	{"t":"open","c":1,"actor":"chatRoom","key":["general"],"k":"…","caller":"…",…}
//
// asks for a connection. Its fields:
//
//	actor, key  the actor's name and key (array of strings, [] for an actor without
//	            a key); or
//	actorId     the actor's id; implies create: false. With actor, the actor must
//	            have that name, else closed {not_found}
//	create      false: the actor must exist, else closed {not_found}; default true
//	input       given to the actor's OnCreate if this open creates it
//	params      what the app passed to connect(params)
//	subs        event names to receive
//	k           the connection's secret: 128 random bits, base64url without
//	            padding (22 characters). A known k resumes, an unknown one makes a
//	            new connection; open may be repeated without ghosts
//	caller      identifies the client that numbers the calls: 128 random bits,
//	            written like k
//	log, s      to resume: the log's identity and the last number seen
//	ack         the highest call id up to which every call has been answered
//	n           optional, rises with each open of the same k, on all sockets: of two that
//	            arrive through different servers, the higher one is the newer
//
//	{"t":"call","c":1,"id":7,"a":"sendMessage","args":["ada","hello"],"s":21,"ack":6}
//
// runs an action. Call ids of a caller rise; gaps are allowed. s and ack are
// optional and mean the same as in ack. The client sends calls after the at that ends
// the opening; after a resume, it sends all unanswered calls again, in order.
//
//	{"t":"sub","c":1,"e":["messageReceived"]}     receive these events from now on, or an error forbidden
//	{"t":"unsub","c":1,"e":["messageReceived"]}   and no longer
//	{"t":"ack","c":1,"s":22,"ack":7}              seen up to here, answered up to here
//	{"t":"params","c":1,"params":{…}}             new params, such as a fresh token
//	{"t":"close","c":1}                           the connection is over, not dropped
//	{"t":"beat"}                                  the answer to a beat
//	{"t":"beat","probe":true}                     asks for a beat as an answer
//
// An actor may refuse events (its CanSubscribe): those of an open and of a sub, and
// with new params any event. An error with the code forbidden, or one of the actor's
// own, names the event, which the channel then does not get. If the actor has a
// CanSubscribe, a sub takes effect with its decision.
//
// Valid params have no answer: they apply to the messages after them. Invalid params
// close the connection. If an OnAuth has to authenticate them first, later messages on
// the channel wait for it.
//
// # From the server
//
//	{"t":"hello","v":1,"limits":{…},"beatMs":15000,"deadMs":25000,"spreadMs":0}
//
// comes first. limits has the sizes in bytes and the rates that the client must
// not exceed (see Limits). The server sends a beat after beatMs of silence; both sides
// consider a socket without a frame for deadMs dead. A client that has lost its
// socket waits a random time in [0, spreadMs] before its first attempt. Further
// fields:
//
//	contract  the fingerprint of the server's actors, which go generate wrote into the
//	          registry. A client that was built with another one is stale: its calls
//	          may fail, with unknown_action or invalid_args for example
//	parts     in development (-check), the fingerprints of all actions, events, params
//	          and inputs, so that a stale client can report the difference:
//	          ["chatRoom.sendMessage():Zm9v","chatRoom.on(typing):YmFy"]
//	socket    over HTTP, the name of the socket (see Sockets over HTTP)
//
//	{"c":1,"t":"opened","s":19,"actorId":"…","log":"…","connId":"…"}
//
// answers open. s is the position at which the connection starts. Further fields:
//
//	resumed   true: this is the connection that k named, with its id and state
//	lost      only if the open asked to resume and not everything after its s will
//	          follow: {"reason":"restart","missed":3,"exact":true}. missed counts the
//	          entries meant for this connection that are skipped; exact: false means
//	          "at least". reason is restart, expired, overflow, slow or identity
//	owner     only if the actor identifies clients: send it in later opens with the same
//	          k. It tells whose connection it was, also after that is gone, so that one
//	          user's calls do not run as another's: then there is a lost with the reason
//	          identity, also if the open did not ask to resume
//
// Then come the missed events (or the events of the connection's own joining), in
// order, and an at. A known caller gets its retained replies even if events are lost.
//
//	{"c":1,"t":"event","s":20,"e":"messageReceived","d":{…}}
//	{"c":1,"t":"reply","s":21,"id":7,"d":{…}}      d is absent if the action returns nothing
//	{"c":1,"t":"fail","s":21,"id":7,"code":"…","message":"…","metadata":…}
//	{"c":1,"t":"at","s":22}
//
// s on any message means: you now have everything meant for you up to and
// including s. Failures, replies of calls that changed nothing and volatile
// events carry the number of the last committed entry before them; they are not
// replayed. A fail of a call that did not reach its actor (it was malformed, over
// a limit, or for a channel that is not open) has s 0: ignore it.
//
// at carries s without a payload. The server sends it at the end of an opening, and
// after 30 s in which the log grew without anything for this connection.
//
//	{"c":1,"t":"closed","code":"…","message":"…","reconnect":false,"metadata":…}
//
// ends the channel. reconnect says whether the client should open again. With the code
// moved another server runs the actor now: the client opens again on the same socket.
//
//	{"c":1,"t":"closed","code":"destroyed","message":"…","reconnect":false,"h":7}
//
// says that the actor was destroyed: its state, its log and its connections are gone. h is
// the highest call id of this caller that was executed. Of the calls without an answer those
// up to h ran, and the others did not and never will; without h that is not known. A client
// that was away gets it in answer to an open with the log of the destroyed actor, behind
// the reply of its call, if it was that call which destroyed it. This open does not make a
// new actor, even with create: true. One without log does.
//
//	{"t":"error","c":1,"code":"…","message":"…","metadata":…}
//
// reports a problem that neither fails a call nor closes a channel; c is absent if it
// concerns the socket. The socket stays open.
//
//	{"t":"beat"}                  answer with a beat
//	{"t":"bye","delayMs":700}     the server is going away: it closes the socket soon;
//	                              reconnect delayMs after that
//
// A frame that is not UTF-8, not JSON, or larger than the frame limit violates the
// protocol: the server closes the socket with WebSocket status 1007, 1008 or 1009. One
// that breaks the framing of WebSockets (RFC 6455) closes it with 1002, with the reason.
// Any other invalid message gets a fail (if it is a call), a closed (if it is an open)
// or an error, with a code of codes.go.
//
// There are no other acknowledgements: close has no answer, and unsub, ack and close
// on a channel that is not open are ignored. A beat that is no probe does not count
// against the rate. All other messages do; open has a rate of its own. Over the rate,
// the server refuses each call and open, and answers other messages with one error a
// second.
//
// The error of a limit names it: the metadata of too_large, rate_limited,
// too_many_channels, too_many_sockets and overloaded has limit, and its option: a
// field of hello's limits, a flag of the server (max-sockets-per-ip), or an option in
// its code (actor.Options.MaxMessage). If a retry can succeed, retryAfterMs says when.
//
// A socket over a limit (too many of its address, or in all, or opened too quickly)
// gets an error with code rate_limited, too_many_sockets or overloaded instead of
// hello, and is closed with status 1013. Its client waits at least retryAfterMs before
// it tries again.
//
// # Sockets over HTTP
//
// Where WebSockets are blocked, the same frames travel over HTTP. The socket works
// the same otherwise: a connection may be resumed on a socket of another kind. hello
// has a field socket, which names the socket in the requests below: 128 random bits,
// base64url, that must stay secret.
//
//	GET /api/stream?v=1
//
// answers with server-sent events (text/event-stream); each is one line data: with
// one frame. The server sends at least one every beatMs. The end of the stream is the
// end of the socket; there is no reason.
//
//	POST /api/poll   {"socket":"…","n":2,"waitMs":20000}
//	  200 […]
//
// is for clients that cannot receive streams or have no connection to spare. The
// answer is the next frame, always an array, and empty if nothing came within waitMs
// (at most 0.8 deadMs). A poll without socket opens one, and its answer begins with
// hello. Polls are numbered from 1, including the one that opens the socket. A client
// sends the next poll after the answer to the one before, which acknowledges that
// answer. A poll that is repeated with the same n gets the same frame again. A client
// that never repeats polls may omit n. A second poll at the same time ends the first
// one, with []. A client that has not polled for deadMs is considered gone; one whose
// poll was cut off has 2 s to repeat it.
//
//	POST /api/stream   {"socket":"…","n":1,"frame":[…]}
//	  204
//
// sends a frame of a client, also of one that polls. n counts from 1, and a client
// sends a post after the answer to the one before. Repeating the last post is
// acknowledged without effect.
//
// On a cluster, polls and posts may come to any node: they are taken to the one with the
// socket. If that is gone or does not answer, the socket is unknown.
//
// 404 unknown_socket means that the socket has ended: open a new one and resume. A
// number other than the last and the next gets 409 out_of_order. A body that is too
// large (413) or not JSON (400) does not count; an invalid frame (400) ends the socket.
//
// # HTTP
//
// Single calls need no socket. Write the key ["a","b"] as ?key=a&key=b, and ?key without =
// for the key []. Requests are parsed strictly: malformed is the answer to a parameter that
// is unknown, repeated (but for key), badly escaped or not UTF-8, and to a body that is not
// UTF-8 or has a member that is unknown, there twice or in another case.
//
//	POST /api/actors/{name}/actions/{action}?key=…   {"args":["ada","hello"]}
//	  200 {"result":…}, or {} if the action returns nothing
//
// runs an action without a connection, and makes the actor if it does not exist.
// create=false: it must exist. id=… names the actor by its id instead of its key;
// it must exist, too. No body means no arguments. With a header Idempotency-Key
// (at most 255 bytes), a request that is repeated with the same key within 24 h has
// one effect, and gets the same answer again while the answer is kept (else 409 ran).
//
//	POST /api/actors/{name}   {"key":["general"],"input":…}
//	  201 {"id":"…"}, or 409 exists
//
// makes an actor; input is given to its OnCreate.
//
//	GET /api/actors/{name}?key=…
//	  200 {"id":"…"}, or 404 not_found
//
// finds one. Every answer is JSON; that of a failure is
//
//	{"code":"…","message":"…","metadata":…}
//
// with a status that fits the code: 400 malformed, bad_key, invalid_args,
// invalid_input, too_deep, connection_required; 401 unauthorized; 403 forbidden, bad_origin;
// 404 not_found, unknown_actor, unknown_action, unknown_socket; 409 exists, ran,
// out_of_order; 413 too_large; 429 rate_limited, too_many_sockets; 500
// internal_error; 503 overloaded, unavailable, shutdown; 504 timeout; and 422 for
// idempotency_mismatch and the codes of actors. A call without an answer may have run.
//
// Pages of another origin are refused unless the server allows them. The page can
// read the refusal: 403 bad_origin with CORS headers, and a socket that opens and is
// closed with 1008 and that code. Requests without an Origin are allowed: no page can
// make them across origins with POST or for a socket.
package wire
