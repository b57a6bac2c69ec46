package actor_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// bench is a node on a store of the test's, for tests that look at the port
// itself. It must be made in a synctest bubble.
type bench struct {
	t     *testing.T
	store store.Store
	reg   *actor.Registry
	node  *actor.Node
}

func inBubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func newBench(t *testing.T, s store.Store, reg *actor.Registry) *bench {
	if s == nil {
		s = memory.New(memory.Options{})
	}
	b := &bench{t: t, store: s, reg: reg}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *bench) start() {
	b.node = actor.NewNode(b.reg, b.store, actor.NodeOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

func (b *bench) stop() {
	if err := b.node.Shutdown(context.Background()); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) restart() {
	b.stop()
	b.start()
}

// reader is an attachment of a connection that keeps all visible outputs meant
// for it, as a gateway would see them.
type reader struct {
	b      *bench
	ref    actor.Ref
	req    actor.OpenRequest
	log    *actor.Log
	cursor actor.Pos
	num    uint32
	got    []*actor.Output
}

func (*reader) Published() {}

// open sends an open; read tells what came of it.
func (b *bench) open(ref actor.Ref, req actor.OpenRequest) *reader {
	b.t.Helper()
	r := &reader{b: b, ref: ref, req: req}
	r.req.Attachment = actor.NextAttachment()
	r.req.Create = true
	var err error
	if r.log, err = b.node.Follow(ref, r); err != nil {
		b.t.Fatal(err)
	}
	r.cursor = r.log.Visible()
	if err := b.node.Open(ref, r.req); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { b.node.Unfollow(ref, r) })
	return r
}

// read waits until nothing moves and returns all outputs so far.
func (r *reader) read() []*actor.Output {
	synctest.Wait()
	outputs, next, _ := r.log.Read(r.cursor, nil, 1<<20)
	r.cursor = next
	for _, o := range outputs {
		switch {
		case o.Kind == actor.OutputOpened && o.To == r.req.Attachment:
			r.num = o.Opened.Num
			r.got = append(r.got, o)
		case o.To != 0 || !o.Numbered && o.Kind != actor.OutputEvent:
			if o.To == r.req.Attachment {
				r.got = append(r.got, o)
			}
		case r.num != 0 && o.Target.Includes(r.num):
			r.got = append(r.got, o)
		}
	}
	return r.got
}

// last returns the newest output, nil if there is none.
func (r *reader) last() *actor.Output {
	if got := r.read(); len(got) > 0 {
		return got[len(got)-1]
	}
	return nil
}

func (r *reader) call(id uint64, action string, args ...any) {
	r.b.t.Helper()
	req := actor.CallRequest{Attachment: r.req.Attachment, Conn: r.req.Conn, ID: id, Action: action}
	for _, a := range args {
		raw, err := json.Marshal(a)
		if err != nil {
			r.b.t.Fatal(err)
		}
		req.Args = append(req.Args, raw)
	}
	if err := r.b.node.Call(r.ref, req); err != nil {
		r.b.t.Fatal(err)
	}
}

// total asks the actor without a connection.
func (b *bench) total(ref actor.Ref) int {
	b.t.Helper()
	raw, err := b.node.CallOnce(context.Background(), ref, actor.SingleCall{Create: true, Action: "get"})
	if err != nil {
		b.t.Fatal(err)
	}
	var n int
	if err := json.Unmarshal(raw, &n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func kinds(outputs []*actor.Output) string {
	s := ""
	for _, o := range outputs {
		switch o.Kind {
		case actor.OutputOpened:
			s += "opened "
		case actor.OutputClosed:
			s += "closed:" + o.Err.Code + " "
		case actor.OutputEvent:
			s += o.Event + " "
		case actor.OutputReply:
			s += "reply:" + string(o.Data) + " "
		case actor.OutputFail:
			s += "fail:" + o.Err.Code + " "
		}
	}
	return s
}

var (
	ledgerRef = actor.Ref{Name: "ledger", Key: actor.Key{"a"}}
	asAda     = actor.OpenRequest{Conn: "conn-ada", Caller: "caller-ada", Params: json.RawMessage(`{"name":"ada"}`)}
	asBob     = actor.OpenRequest{Conn: "conn-bob", Caller: "caller-bob", Params: json.RawMessage(`{"name":"bob"}`)}
)
