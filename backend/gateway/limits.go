package gateway

import (
	"encoding/json"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-dev/troupe/backend/wire"
)

// buckets are the rates of one socket. They belong to its reader.
type buckets struct {
	messages *rate.Limiter
	opens    *rate.Limiter // apart from the others, see Options.OpenBurst
	reported time.Time     // when the client was last told in an error
}

func newBuckets(o *Options) buckets {
	return buckets{
		messages: rate.NewLimiter(rate.Limit(o.Limits.Rate), o.Limits.Burst),
		opens:    rate.NewLimiter(rate.Limit(o.OpenRate), o.OpenBurst),
	}
}

// allow takes a token for a message. If there is none, it returns how long to
// wait for one.
func (b *buckets) allow(typ string) (wait time.Duration) {
	l := b.messages
	if typ == wire.TypeOpen {
		l = b.opens
	}
	return take(l)
}

func eventMetadata(event string) json.RawMessage {
	b, err := json.Marshal(struct {
		Event string `json:"event"`
	}{event})
	if err != nil {
		panic("gateway: encode metadata: " + err.Error()) // strings always encode
	}
	return b
}
