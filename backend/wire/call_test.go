package wire_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/wire"
)

// decodeSlowly decodes a call with encoding/json. DecodeCall must agree with it.
func decodeSlowly(frame []byte) (wire.ClientMessage, error) {
	messages, err := wire.Split(frame)
	if err != nil {
		return wire.ClientMessage{}, err
	}
	if len(messages) != 1 {
		return wire.ClientMessage{}, fmt.Errorf("%d messages", len(messages))
	}
	return wire.DecodeClient(messages[0])
}

func checkCall(t *testing.T, frame []byte) (taken bool) {
	t.Helper()
	m, ok := wire.DecodeCall(frame)
	if !ok {
		return false
	}
	want, err := decodeSlowly(frame)
	if err != nil {
		t.Fatalf("%q is no message (%v), but was taken for %+v", frame, err, m)
	}
	if !reflect.DeepEqual(m, want) {
		t.Fatalf("%q: got %+v, want %+v", frame, m, want)
	}
	clear(frame)
	if !reflect.DeepEqual(m, want) {
		t.Fatalf("the message shares memory with its frame")
	}
	return true
}

var callFrames = []struct {
	frame string
	taken bool
}{
	{`{"t":"call","c":1,"id":7,"a":"sendMessage","args":["u1","hello"],"s":41,"ack":6}`, true},
	{`{"t":"call","c":1,"id":7,"a":"get","args":[]}`, true},
	{`{"t":"call","c":1,"id":7,"a":"get"}`, true},
	{` { "args" : [ 1 , -0.5e+3 , true , false , null , {"a" : [ { } , [ ] , "\"\\\n" ] } ] , "t" : "call" } `, true},
	{`{"t":"call","c":1,"id":7,"a":"say","args":["` + "h\u00e4 \U0001f600 \xff" + `"]}`, true},
	{`{"t":"call","c":999999999,"id":999999999999999999,"a":"","args":["\/\b\f\r\t"]}`, true},

	// JSON, and left to encoding/json.
	{`{"t":"call","c":4294967295,"id":18446744073709551615}`, false},
	{`{"t":"call","args":["\u00e9"]}`, false},
	{`{"t":"call","args":null}`, false},
	{`{"t":"call","a":"\t"}`, false},
	{`{"t":"call","a":"` + "\xff" + `"}`, false},
	{`{"t":"call","T":"open"}`, false},
	{`{"t":"call","t":"open"}`, false},
	{`{"t":"call","id":1,"id":2}`, false},
	{`{"t":"call","args":[1],"args":[]}`, false},
	{`{"t":"call","id":-1}`, false},
	{`{"t":"call","id":1.0}`, false},
	{`{"t":"call","id":1e3}`, false},
	{`{"t":"open","c":1}`, false},
	{`{"c":1}`, false},
	{`[{"t":"call","c":1}]`, false},

	// Not JSON.
	{``, false},
	{`{"t":"call"`, false},
	{`{"t":"call"} x`, false},
	{`{"t":"call"}{}`, false},
	{`{"t":"call",}`, false},
	{`{,"t":"call"}`, false},
	{`{"t":"call" "c":1}`, false},
	{`{"t":"call","id":01}`, false},
	{`{"t":"call","id":}`, false},
	{`{"t":"call","args":[1,]}`, false},
	{`{"t":"call","args":[01]}`, false},
	{`{"t":"call","args":[-]}`, false},
	{`{"t":"call","args":[1.]}`, false},
	{`{"t":"call","args":[.5]}`, false},
	{`{"t":"call","args":[1e]}`, false},
	{`{"t":"call","args":[tru]}`, false},
	{`{"t":"call","args":[truex]}`, false},
	{`{"t":"call","args":["a]}`, false},
	{`{"t":"call","args":["` + "\n" + `"]}`, false},
	{`{"t":"call","args":["\x"]}`, false},
	{`{"t":"call","args":[{"a"}]}`, false},
	{`{"t":"call","args":[{1:2}]}`, false},
	{`{"t":"call","args":[{"a":1,}]}`, false},
	{`{"t":"call","args":[{]}`, false},
	{`{"t":"call","args":[[}]}`, false},
}

func TestDecodeCallAgreesWithEncodingJSON(t *testing.T) {
	for _, c := range callFrames {
		if taken := checkCall(t, []byte(c.frame)); taken != c.taken {
			t.Errorf("%s: taken is %t, want %t", c.frame, taken, c.taken)
		}
	}
	deep := func(n int) []byte {
		return []byte(`{"t":"call","args":[` + strings.Repeat("[", n) + strings.Repeat("]", n) + `]}`)
	}
	if !checkCall(t, deep(30)) || checkCall(t, deep(1000)) {
		t.Error("nesting: want 30 levels taken, 1000 left")
	}
}

// TestDecodeCallTakesWhatClientsSend decodes random calls as JSON libraries write
// them.
func TestDecodeCallTakesWhatClientsSend(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		m := map[string]any{"t": "call", "c": r.IntN(500), "id": r.Uint32(), "a": "doIt", "args": randomValues(r, 0)}
		if r.IntN(2) == 0 {
			m["ack"] = r.Uint32()
		}
		frame, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if taken := checkCall(t, []byte(string(frame))); !taken && !strings.Contains(string(frame), `\u`) {
			t.Fatalf("left to encoding/json: %s", frame)
		}
		// And broken ones: most are not JSON.
		for range 20 {
			broken := []byte(string(frame))
			switch i := r.IntN(len(broken)); r.IntN(3) {
			case 0:
				broken[i] = `{}[],:"\0123eE+-.ntf u/`[r.IntN(23)]
			case 1:
				broken = append(broken[:i], broken[i+1:]...)
			case 2:
				broken = append(broken[:i:i], frame[r.IntN(i+1):]...)
			}
			checkCall(t, broken)
		}
	}
}

func randomValues(r *rand.Rand, depth int) []any {
	values := []any{}
	for range r.IntN(4) {
		values = append(values, randomValue(r, depth+1))
	}
	return values
}

func randomValue(r *rand.Rand, depth int) any {
	n := 7
	if depth > 4 {
		n = 5
	}
	switch r.IntN(n) {
	case 0:
		return r.NormFloat64() * 1e9
	case 1:
		return r.Int64()
	case 2:
		return []any{nil, true, false}[r.IntN(3)]
	case 3:
		return []string{"", "plain", "h\u00e4", "\U0001f600", `"quoted\"`, "a\nb\tc", "<&>", "\u2028"}[r.IntN(8)]
	case 4:
		return r.Float64()
	case 5:
		return randomValues(r, depth)
	default:
		o := map[string]any{}
		for range r.IntN(3) {
			o[fmt.Sprint("k", r.IntN(9))] = randomValue(r, depth+1)
		}
		return o
	}
}

// FuzzDecodeCall feeds frames to DecodeCall and to encoding/json.
func FuzzDecodeCall(f *testing.F) {
	for _, c := range callFrames {
		f.Add([]byte(c.frame))
	}
	for _, c := range clientFrames {
		f.Add([]byte(c.frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) { checkCall(t, frame) })
}

func BenchmarkDecodeCall(b *testing.B) {
	frame := []byte(`{"t":"call","c":1,"id":7,"a":"sendMessage","args":["user-1","a message of some forty characters ......"],"ack":6}`)
	b.Run("hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := wire.DecodeCall(frame); !ok {
				b.Fatal("not taken")
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeSlowly(frame); err != nil {
				b.Fatal(err)
			}
		}
	})
}
