// Package wrong does not compile.
package wrong

import "github.com/troupe-dev/troupe/backend/actor"

type Room struct{}

var Registry = actor.NewRegistry(actor.Define[Hall]("room")) // want "undefined: Hall"
