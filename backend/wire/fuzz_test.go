package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/troupe-dev/troupe/backend/wire"
)

// FuzzDecode feeds frames to all decoders of client messages (G9).
func FuzzDecode(f *testing.F) {
	for _, c := range clientFrames {
		f.Add([]byte(c.frame))
	}
	for _, c := range serverFrames {
		f.Add([]byte(c.frame))
	}
	for _, s := range []string{
		``, ` `, `{`, `[`, `[]`, `{}`, `null`, `[null]`, `[1,"a",[],{}]`, `{"t":7,"c":"x","id":-1}`, `{"c":1e99}`,
		`{"t":"call","c":4294967295,"id":18446744073709551615}`, `{"t":"call","c":4294967296}`, "{\"t\":\"\xff\"}",
		`{"t":"a","t":"b"}`, `{"T":"call"}`, `{"args":[[[[[[]]]]]]}`, `{} {}`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		messages, err := wire.Split(frame)
		if err != nil {
			if len(messages) > 0 {
				t.Fatalf("got %d messages and %v", len(messages), err)
			}
			return
		}
		for _, raw := range messages {
			if !json.Valid(raw) {
				t.Fatalf("%q in %q is not JSON", raw, frame)
			}
			envelope := wire.DecodeEnvelope(raw)
			m, err := wire.DecodeClient(raw)
			if err != nil {
				continue
			}
			if raw[0] == '{' && (m.Type != envelope.Type || m.Channel != envelope.Channel || m.ID != envelope.ID) {
				t.Fatalf("%q: got envelope %+v of message %+v", raw, envelope, m)
			}
			again, err := json.Marshal(m)
			if err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			if _, err := wire.DecodeClient(again); err != nil {
				t.Fatalf("%q: encoded again as %q: %v", raw, again, err)
			}
		}
	})
}
