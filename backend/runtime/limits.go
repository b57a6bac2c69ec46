package runtime

import "time"

// These are constants and not options because there is no need to tune them.
const (
	abandonAfter     = time.Second      // after its deadline, a turn that has not returned is abandoned
	maxRunAheadTotal = 64 << 20         // bytes of outputs that wait for the store, all actors of a node
	groupSpacing     = time.Millisecond // between the starts of groups of several commits
	maxAnswers       = 64               // kept answers per producer
	maxAnswerBytes   = 16 << 10         // bytes of kept answers per producer

	maxActorAnswerBytes = 1 << 20          // the same per actor
	maxAllAnswerBytes   = 64 << 20         // and in all; beyond, an actor keeps a sixteenth
	singleAnswerTTL     = 10 * time.Minute // how long the answer of a single call is kept
	smallAnswer         = 64               // unless it has so few bytes: then as long as its producer

	maxAuths     = 256     // how many OnAuth of a node run at a time
	maxAuthBytes = 4 << 10 // of an OnAuth's result as JSON, which is kept with each connection
)
