// Package rooms has the sample's actors: a chat, a game, a news room, and the stage of the home
// page. Each is one file that you can read and copy on its own.
package rooms

import (
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

//go:generate go run ../typegen/cmd/typegen -o ../../web/src/registry.gen.ts

// Registry has the server's actors, each with its events.
var Registry = actor.NewRegistry(
	actor.Define[ChatRoom]("chatRoom",
		actor.Emits[MessageReceived](),
		actor.Emits[MessageDeleted](),
		actor.Emits[MembersChanged](),
		actor.Emits[Typing](),
		actor.Emits[LaterChanged](),
		actor.Handles((*ChatRoom).publish),
		actor.Handles((*ChatRoom).vanish),
		actor.Version(1, actor.Rename("messages", "history"), actor.ToTable("history", fromList)),
	),
	actor.Define[GameRoom]("gameRoom",
		actor.Emits[PlayerMoved](),
		actor.Emits[PrivateMessage](),
		actor.Emits[GameStarted](),
		actor.Emits[SpotlightCaught](),
		actor.Emits[GameEnded](),
		actor.Emits[Game](),
		actor.Emits[PlayerJoined](),
		actor.Emits[PlayerLeft](),
	),
	actor.Define[NewsRoom]("newsRoom",
		actor.Emits[NewArticle](),
		actor.Emits[Articles](),
	),
	actor.Define[Stage]("stage",
		actor.Emits[Spoken](),
		// Each visit to the home page makes one.
		actor.WithOptions(actor.Options{DestroyAfter: 24 * time.Hour}),
	),
)
