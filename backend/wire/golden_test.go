package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

const goldenDir = "testdata/golden"

// golden is one file of testdata/golden, which the TypeScript tests read too.
type golden struct {
	Name      string `json:"name"`
	Direction string `json:"direction"` // the sender: client or server
	Frame     string `json:"frame"`     // JSON text
	Note      string `json:"note"`
}

// A secret or a caller: 128 bits in base64url without padding.
const (
	secret = "AAECAwQFBgcICQoLDA0ODw"
	caller = "EBESExQVFhcYGRobHB0eHw"
)

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func args(parts ...string) []json.RawMessage {
	a := []json.RawMessage{}
	for _, p := range parts {
		a = append(a, raw(p))
	}
	return a
}

// clientFrames are frames as a client writes them, and what they mean.
var clientFrames = []struct {
	name, note, frame string
	want              []wire.ClientMessage
}{
	{
		"open", "a new connection; create defaults to true",
		`{"t":"open","c":1,"actor":"chatRoom","key":["general"],"subs":["messageReceived","typing"],"k":"` + secret + `","caller":"` + caller + `"}`,
		[]wire.ClientMessage{{
			Type: "open", Channel: 1, Actor: "chatRoom", Key: raw(`["general"]`),
			Subs: []string{"messageReceived", "typing"}, Secret: secret, Caller: caller,
		}},
	},
	{
		"open-create", "with params and the input for an actor that this open creates",
		`{"t":"open","c":2,"actor":"gameRoom","key":["a","b"],"create":true,"input":{"size":3},"params":{"playerId":"p1"},"subs":[],"k":"` + secret + `","caller":"` + caller + `"}`,
		[]wire.ClientMessage{{
			Type: "open", Channel: 2, Actor: "gameRoom", Key: raw(`["a","b"]`), Create: new(true),
			Input: raw(`{"size":3}`), Params: raw(`{"playerId":"p1"}`), Subs: []string{}, Secret: secret, Caller: caller,
		}},
	},
	{
		"open-get", "the actor must exist",
		`{"t":"open","c":1,"actor":"chatRoom","key":["general"],"create":false,"k":"` + secret + `","caller":"` + caller + `"}`,
		[]wire.ClientMessage{{
			Type: "open", Channel: 1, Actor: "chatRoom", Key: raw(`["general"]`), Create: new(false),
			Secret: secret, Caller: caller,
		}},
	},
	{
		"open-by-id", "actorId implies create: false",
		`{"t":"open","c":1,"actorId":"q83vASNFZ4mrze8BI0VniQ","k":"` + secret + `","caller":"` + caller + `"}`,
		[]wire.ClientMessage{{
			Type: "open", Channel: 1, ActorID: "q83vASNFZ4mrze8BI0VniQ", Secret: secret, Caller: caller,
		}},
	},
	{
		"open-by-id-named", "the actor with this id must be a chatRoom",
		`{"t":"open","c":1,"actor":"chatRoom","actorId":"q83vASNFZ4mrze8BI0VniQ","k":"` + secret + `","caller":"` + caller + `"}`,
		[]wire.ClientMessage{{
			Type: "open", Channel: 1, Actor: "chatRoom", ActorID: "q83vASNFZ4mrze8BI0VniQ", Secret: secret, Caller: caller,
		}},
	},
	{
		"open-resume", "log and s: everything after s is wanted; ack: calls up to 6 have been answered",
		`{"t":"open","c":1,"actor":"chatRoom","key":["general"],"subs":["messageReceived"],"k":"` + secret + `","caller":"` + caller + `","log":"Zm9vYmFyYmF6cXV4MTIzNA","s":19,"ack":6}`,
		[]wire.ClientMessage{{
			Type: "open", Channel: 1, Actor: "chatRoom", Key: raw(`["general"]`), Subs: []string{"messageReceived"},
			Secret: secret, Caller: caller, Log: "Zm9vYmFyYmF6cXV4MTIzNA", Seq: 19, Ack: 6,
		}},
	},
	{
		"open-n", "n: of two opens with the same k, the one with the higher n is the newer",
		`{"t":"open","c":4,"n":4,"actor":"chatRoom","key":["general"],"k":"` + secret + `","caller":"` + caller + `"}`,
		[]wire.ClientMessage{{
			Type: "open", Channel: 4, N: 4, Actor: "chatRoom", Key: raw(`["general"]`), Secret: secret, Caller: caller,
		}},
	},
	{
		"call", "",
		`{"t":"call","c":1,"id":7,"a":"sendMessage","args":["ada","hello"]}`,
		[]wire.ClientMessage{{Type: "call", Channel: 1, ID: 7, Action: "sendMessage", Args: args(`"ada"`, `"hello"`)}},
	},
	{
		"call-ack", "s and ack mean what they mean in ack",
		`{"t":"call","c":1,"id":8,"a":"deleteMessage","args":["m1"],"s":21,"ack":7}`,
		[]wire.ClientMessage{{Type: "call", Channel: 1, ID: 8, Action: "deleteMessage", Args: args(`"m1"`), Seq: 21, Ack: 7}},
	},
	{
		"call-no-args", "args may be empty or absent",
		`{"t":"call","c":1,"id":9,"a":"getMessages","args":[]}`,
		[]wire.ClientMessage{{Type: "call", Channel: 1, ID: 9, Action: "getMessages", Args: args()}},
	},
	{
		"call-unicode", "any JSON value is an argument",
		`{"t":"call","c":1,"id":10,"a":"sendMessage","args":["zoë 🎭","a\nb \u2028 \"q\" \\",null,1.5e3,[true,{}]]}`,
		[]wire.ClientMessage{{
			Type: "call", Channel: 1, ID: 10, Action: "sendMessage",
			Args: args(`"zoë 🎭"`, `"a\nb \u2028 \"q\" \\"`, `null`, `1.5e3`, `[true,{}]`),
		}},
	},
	{
		"sub", "receive these events from now on",
		`{"t":"sub","c":1,"e":["messageReceived","messageDeleted"]}`,
		[]wire.ClientMessage{{Type: "sub", Channel: 1, Events: []string{"messageReceived", "messageDeleted"}}},
	},
	{
		"unsub", "",
		`{"t":"unsub","c":1,"e":["messageReceived"]}`,
		[]wire.ClientMessage{{Type: "unsub", Channel: 1, Events: []string{"messageReceived"}}},
	},
	{
		"ack", "everything up to 22 has been seen, calls up to 7 have been answered",
		`{"t":"ack","c":1,"s":22,"ack":7}`,
		[]wire.ClientMessage{{Type: "ack", Channel: 1, Seq: 22, Ack: 7}},
	},
	{
		"params", "new params for a connection, such as a fresh token",
		`{"t":"params","c":1,"params":{"token":"t2"}}`,
		[]wire.ClientMessage{{Type: "params", Channel: 1, Params: raw(`{"token":"t2"}`)}},
	},
	{
		"close", "",
		`{"t":"close","c":1}`,
		[]wire.ClientMessage{{Type: "close", Channel: 1}},
	},
	{
		"beat-probe", "asks for a beat: after sleep or a change of network, to find out whether the link still works",
		`{"t":"beat","probe":true}`,
		[]wire.ClientMessage{{Type: "beat", Probe: true}},
	},
	{
		"beat-from-client", "the answer to a beat",
		`{"t":"beat"}`,
		[]wire.ClientMessage{{Type: "beat"}},
	},
	{
		"array-from-client", "several messages in one frame",
		`[{"t":"sub","c":1,"e":["typing"]},{"t":"call","c":1,"id":11,"a":"setTyping","args":[true]},{"t":"beat"}]`,
		[]wire.ClientMessage{
			{Type: "sub", Channel: 1, Events: []string{"typing"}},
			{Type: "call", Channel: 1, ID: 11, Action: "setTyping", Args: args(`true`)},
			{Type: "beat"},
		},
	},
}

func TestGolden_ClientFramesDecode(t *testing.T) {
	for _, c := range clientFrames {
		t.Run(c.name, func(t *testing.T) {
			checkGolden(t, golden{c.name, "client", c.frame, c.note})
			messages, err := wire.Split([]byte(c.frame))
			if err != nil {
				t.Fatal(err)
			}
			var got []wire.ClientMessage
			for _, m := range messages {
				cm, err := wire.DecodeClient(m)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, cm)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s\n got  %+v\n want %+v", c.frame, got, c.want)
			}
			// Encoded again, it means the same, optional empty lists aside.
			again, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			frame := c.frame
			if frame[0] == '{' {
				frame = "[" + frame + "]"
			}
			if got, want := withoutEmpty(t, again), withoutEmpty(t, []byte(frame)); !reflect.DeepEqual(got, want) {
				t.Errorf("encoded again\n got  %v\n want %v", got, want)
			}
		})
	}
}

func TestGolden_ServerFramesAppend(t *testing.T) {
	for _, c := range serverFrames {
		t.Run(c.name, func(t *testing.T) {
			checkGolden(t, golden{c.name, "server", c.frame, c.note})
			messages, err := wire.Split([]byte(c.frame))
			if err != nil {
				t.Fatal(err)
			}
			var got []wire.ServerMessage
			for _, m := range messages {
				var sm wire.ServerMessage
				if err := json.Unmarshal(m, &sm); err != nil {
					t.Fatal(err)
				}
				got = append(got, sm)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s\n got  %+v\n want %+v", c.frame, got, c.want)
			}
		})
	}
}

// TestGolden_NothingElse finds golden files that no test writes.
func TestGolden_NothingElse(t *testing.T) {
	known := map[string]bool{}
	for _, c := range clientFrames {
		known[c.name] = true
	}
	for _, c := range serverFrames {
		known[c.name] = true
	}
	if len(known) != len(clientFrames)+len(serverFrames) {
		t.Error("two golden frames have the same name")
	}
	files, err := filepath.Glob(goldenDir + "/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".json"); !known[name] {
			t.Errorf("%s belongs to no test", f)
		}
	}
	if len(files) != len(known) {
		t.Errorf("got %d golden files, want %d", len(files), len(known))
	}
}

// checkGolden compares a frame with its file, or writes it with -update.
func checkGolden(t *testing.T, g golden) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(g); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(goldenDir, g.Name+".json")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s differs (rewrite it with -update and review the difference)\n got  %s\n want %s", file, b.Bytes(), want)
	}
}

// withoutEmpty decodes JSON and drops empty lists from objects.
func withoutEmpty(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, m := range v.([]any) {
		m := m.(map[string]any)
		for k, x := range m {
			if l, ok := x.([]any); ok && len(l) == 0 {
				delete(m, k)
			}
		}
	}
	return v
}
