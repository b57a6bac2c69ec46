package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// bench is a node on the test's store, for tests of host.Host itself. Make it in a synctest
// bubble.
type bench struct {
	t     *testing.T
	store store.Store
	reg   *actor.Registry
	check bool // for the next start
	node  *runtime.Node
	log   lines

	started time.Time // the bench, not the node
}

// lines is what a node has logged.
type lines struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func inBubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func newBench(t *testing.T, s store.Store, reg *actor.Registry) *bench {
	if s == nil {
		s = memory.New(memory.Options{})
	}
	b := &bench{t: t, store: s, reg: reg, started: time.Now()}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *bench) start() {
	b.node = runtime.New(b.reg, b.store, runtime.Options{Logger: slog.New(slog.NewTextHandler(&b.log, nil)), Check: b.check})
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

// heldBench is a node whose commits wait for the test, with ada and bob
// connected to an actor and everything durable so far.
func heldBench(t *testing.T, reg *actor.Registry, ref host.Ref) (b *bench, held *storetest.HeldStore, ada, bob *reader) {
	held = storetest.Held(memory.New(memory.Options{}))
	held.ReleaseAll()
	b = newBench(t, &troubledStore{Store: held}, reg)
	ada, bob = b.open(ref, asAda), b.open(ref, asBob)
	advance() // groups start a moment apart
	ada.read()
	bob.read()
	ada.got, bob.got = nil, nil
	held.HoldAgain()
	t.Cleanup(held.ReleaseAll) // before the node stops: it waits for its commits
	return b, held, ada, bob
}

// trouble is the store of a bench that heldBench made, or that was given one.
func (b *bench) trouble() *troubledStore { return b.store.(*troubledStore) }

// advance lets some virtual time pass.
func advance() { time.Sleep(50 * time.Millisecond) }

// reader is an attachment of a connection that keeps all visible outputs meant
// for it, as a gateway would see them.
type reader struct {
	b      *bench
	ref    host.Ref
	req    host.OpenRequest
	log    *host.Log
	cursor host.Pos
	num    uint32
	got    []*host.Output
}

func (*reader) Published() {}

// open sends an open; read returns the outcome.
func (b *bench) open(ref host.Ref, req host.OpenRequest) *reader {
	b.t.Helper()
	r := b.follow(ref, req)
	r.open()
	return r
}

// follow is open without the sending: that is left to the reader's own open.
func (b *bench) follow(ref host.Ref, req host.OpenRequest) *reader {
	b.t.Helper()
	r := &reader{b: b, ref: ref, req: req}
	r.req.Attachment = host.NextAttachment()
	r.req.Create = true
	var err error
	if r.log, err = b.node.Follow(ref, r); err != nil {
		b.t.Fatal(err)
	}
	r.cursor = r.log.Visible()
	b.t.Cleanup(func() { b.node.Unfollow(ref, r) })
	return r
}

func (r *reader) open() {
	r.b.t.Helper()
	if err := r.b.node.Open(r.ref, r.req); err != nil {
		r.b.t.Fatal(err)
	}
}

// read waits until nothing moves and returns all outputs so far.
func (r *reader) read() []*host.Output {
	synctest.Wait()
	outputs, next, _ := r.log.Read(r.cursor, nil, 1<<20)
	r.cursor = next
	for _, o := range outputs {
		switch {
		case o.Kind == host.OutputOpened && o.To == r.req.Attachment:
			r.num = o.Opened.Num
			r.got = append(r.got, o)
		case !o.To.IsZero() || !o.Numbered && o.Kind != host.OutputEvent:
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
func (r *reader) last() *host.Output {
	if got := r.read(); len(got) > 0 {
		return got[len(got)-1]
	}
	return nil
}

func (r *reader) call(id uint64, action string, args ...any) {
	r.b.t.Helper()
	req := host.CallRequest{
		Attachment: r.req.Attachment, Conn: r.req.Conn, ID: id, Action: action, Args: encodeArgs(r.b.t, args),
	}
	if err := r.b.node.Call(r.ref, req); err != nil {
		r.b.t.Fatal(err)
	}
}

// total asks the actor without a connection.
func (b *bench) total(ref host.Ref) int {
	b.t.Helper()
	n, err := result[int](b, ref, "get")
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// result calls an action without a connection; the actor need not exist. The
// test does not wait longer than an hour for an answer.
func result[T any](b *bench, ref host.Ref, action string, args ...any) (result T, err error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	raw, err := b.node.CallOnce(ctx, ref, host.DirectCall{Create: true, Action: action, Args: encodeArgs(b.t, args)})
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &result)
	}
	return result, err
}

// callRaw is result with arguments that are JSON, joined by commas.
func callRaw(b *bench, ref host.Ref, action, args string) (json.RawMessage, error) {
	b.t.Helper()
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte("["+args+"]"), &raw); err != nil {
		b.t.Fatal(err)
	}
	return b.node.CallOnce(context.Background(), ref, host.DirectCall{Create: true, Action: action, Args: raw})
}

// code is that of an error for a client, or says what else it is.
func code(err error) string {
	var f *host.Fault
	var e *actor.Error // of package actortest
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &f):
		return f.Code
	case errors.As(err, &e):
		return e.Code
	}
	return err.Error()
}

func encodeArgs(t *testing.T, args []any) []json.RawMessage {
	t.Helper()
	raw := make([]json.RawMessage, len(args))
	for i, a := range args {
		var err error
		if raw[i], err = json.Marshal(a); err != nil {
			t.Fatal(err)
		}
	}
	return raw
}

func kinds(outputs []*host.Output) string {
	s := ""
	for _, o := range outputs {
		switch o.Kind {
		case host.OutputOpened:
			s += "opened "
		case host.OutputClosed:
			s += "closed:" + o.Err.Code + " "
		case host.OutputEvent:
			s += o.Event + " "
		case host.OutputReply:
			s += "reply:" + string(o.Data) + " "
		case host.OutputFail:
			s += "fail:" + o.Err.Code + " "
		}
	}
	return s
}

// as is the open of a connection that is called name, and whose caller is, too.
func as(name string) host.OpenRequest {
	return host.OpenRequest{Conn: name, Producer: name, Params: json.RawMessage(`{"name":"` + name + `"}`)}
}

// troubledStore fails to load while it is broken, and counts how often it was
// asked to.
type troubledStore struct {
	store.Store
	broken atomic.Bool
	lists  atomic.Bool // also while it is broken
	loads  atomic.Int64
}

var errDisk = errors.New("disk on fire")

func (s *troubledStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	s.loads.Add(1)
	if s.broken.Load() {
		return nil, errDisk
	}
	return s.Store.Load(ctx, id)
}

func (s *troubledStore) Connected(ctx context.Context, partition int, f func(string) bool) error {
	if s.broken.Load() && !s.lists.Load() {
		return errDisk
	}
	return s.Store.Connected(ctx, partition, f)
}

var (
	ledgerRef = host.Ref{Name: "ledger", Key: host.Key{"a"}}
	asAda     = host.OpenRequest{Conn: "conn-ada", Producer: "caller-ada", Params: json.RawMessage(`{"name":"ada"}`)}
	asBob     = host.OpenRequest{Conn: "conn-bob", Producer: "caller-bob", Params: json.RawMessage(`{"name":"bob"}`)}
)
