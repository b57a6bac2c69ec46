package runtime_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// damagedStore changes what is read from a store.
type damagedStore struct {
	store.Store
	snapshot func(*store.Snapshot)
	entries  func([]store.Entry)
}

func (s *damagedStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	snap, err := s.Store.Load(ctx, id)
	if err == nil && s.snapshot != nil {
		own := *snap
		own.Conns = slices.Clone(snap.Conns)
		own.Callers = slices.Clone(snap.Callers)
		for i := range own.Callers {
			own.Callers[i].Answers = slices.Clone(own.Callers[i].Answers)
		}
		s.snapshot(&own)
		snap = &own
	}
	return snap, err
}

func (s *damagedStore) Entries(ctx context.Context, id string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	entries, err := s.Store.Entries(ctx, id, after, limit, maxBytes)
	if err == nil && s.entries != nil {
		entries = slices.Clone(entries)
		s.entries(entries)
	}
	return entries, err
}

// desk notes which connections have ended.
type desk struct {
	Total int             `json:"total"`
	Gone  []string        `json:"gone"`
	Raw   json.RawMessage `json:"raw"`
}

func (*desk) CreateConnState(_ *actor.ConnectContext, p memberParams) (member, error) {
	return member(p), nil
}

func (d *desk) OnDisconnect(c *actor.Context[member]) {
	d.Gone = append(d.Gone, c.Conn().ID()+" "+c.Conn().State().Name)
}

func (d *desk) Add(c *actor.Context[member], n int) (int, error) {
	d.Total += n
	c.Broadcast(added{"desk", n})
	if n == 0 {
		return 0, actor.Errorf("nothing", "nothing to add")
	}
	return d.Total, nil
}

func (d *desk) Keep(_ *actor.Context[member], raw json.RawMessage) { d.Raw = raw }

func (d desk) Text(*actor.Context[member]) json.RawMessage { return d.Raw }

func (d desk) Ended(*actor.Context[member]) []string { return d.Gone }

var (
	desks   = actor.NewRegistry(actor.Define[desk]("desk", actor.Emits[added]()))
	deskRef = host.Ref{Name: "desk", Key: host.Key{"a"}}
)

// TestOneBadRecordNeverTakesItsActor damages each kind of stored record in turn. What
// does not depend on the record works, and its client learns of a gap.
func TestOneBadRecordNeverTakesItsActor(t *testing.T) {
	for _, test := range []struct {
		record string
		damage func(*damagedStore)
		ended  []string // connections that are over
		log    string
		check  func(t *testing.T, b *bench, ada *reader)
	}{
		{
			record: "a connection",
			damage: func(s *damagedStore) {
				s.snapshot = func(snap *store.Snapshot) {
					for i := range snap.Conns {
						if snap.Conns[i].ID == "ada" {
							snap.Conns[i].State = json.RawMessage(`{"name":7}`)
						}
					}
				}
			},
			ended: []string{"ada "},
			log:   `conn=ada error="json: cannot unmarshal number`,
			check: func(t *testing.T, b *bench, ada *reader) {
				o := opened(ada)
				if o == nil || o.Resumed || o.Reason != "expired" {
					t.Errorf("got %+v, want a new connection with a gap", o)
				}
			},
		},
		{
			record: "an answer",
			damage: func(s *damagedStore) {
				s.snapshot = func(snap *store.Snapshot) {
					for _, c := range snap.Callers {
						for i := range c.Answers {
							c.Answers[i].Metadata = json.RawMessage(`{"a`)
						}
					}
				}
			},
			log: "a stored answer is not JSON",
			check: func(t *testing.T, b *bench, ada *reader) {
				ada.call(2, "add", 0)
				if got := kinds(ada.read()[1:]); got != "fail:ran " {
					t.Errorf("a repeated call: got %q, want that its answer is gone", got)
				}
			},
		},
		{
			record: "an entry",
			damage: func(s *damagedStore) {
				s.entries = func(entries []store.Entry) {
					for i := range entries {
						if entries[i].Seq == 2 {
							entries[i].Data = json.RawMessage(`{"by":`)
						}
					}
				}
			},
			log: "a stored log entry is not JSON",
			check: func(t *testing.T, b *bench, ada *reader) {
				outputs, err := ada.log.Stored(context.Background(), 0, 100, 1<<20)
				if err != nil || len(outputs) == 0 || outputs[0].Seq != 3 {
					t.Errorf("got %v, %v, want the entries after the bad one, so that readers see a gap", outputs, err)
				}
			},
		},
		{
			record: "an entry that is not UTF-8",
			damage: func(s *damagedStore) {
				s.entries = func(entries []store.Entry) {
					entries[0].Data = json.RawMessage("{\"by\":\"\xff\"}")
				}
			},
			log: "not UTF-8",
			check: func(t *testing.T, b *bench, ada *reader) {
				outputs, err := ada.log.Stored(context.Background(), 0, 100, 1<<20)
				if err != nil || len(outputs) < 2 || string(outputs[0].Data) != `{"by":"`+"\uFFFD"+`"}` {
					t.Errorf("got %v, %v", outputs, err)
				}
			},
		},
		{
			record: "a state that is not UTF-8",
			damage: func(s *damagedStore) {
				s.snapshot = func(snap *store.Snapshot) {
					snap.State = []byte(strings.Replace(string(snap.State), "marker", "m\xffrker", 1))
				}
			},
			log: "not UTF-8",
			check: func(t *testing.T, b *bench, ada *reader) {
				if got, err := result[string](b, deskRef, "text"); err != nil || got != "m\uFFFDrker" {
					t.Errorf("got %q, %v", got, err)
				}
			},
		},
	} {
		t.Run(test.record, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &damagedStore{Store: memory.New(memory.Options{Retention: time.Hour})}
				b := newBench(t, s, desks)
				ada, bob := b.open(deskRef, as("ada")), b.open(deskRef, as("bob"))
				ada.read()
				bob.read()
				ada.call(1, "add", 3)
				ada.call(2, "add", 0)
				ada.call(3, "keep", "marker")
				log, head := opened(ada).Log, uint64(3)
				ada.read()
				test.damage(s)
				b.restart()

				resume := func(name string) *reader {
					req := as(name)
					req.Resume, req.Log, req.Seq = true, log, head
					r := b.open(deskRef, req)
					r.read()
					return r
				}
				ada, bob = resume("ada"), resume("bob")
				if o := opened(bob); o == nil || !o.Resumed || o.Reason != "" {
					t.Errorf("the other connection: got %+v, want that it is resumed", o)
				}
				test.check(t, b, ada)
				bob.call(1, "add", 4)
				if got := kinds(bob.read()[1:]); got != "added reply:7 " {
					t.Errorf("the other connection: got %q", got)
				}
				if got, err := result[[]string](b, deskRef, "ended"); err != nil || !slices.Equal(got, test.ended) {
					t.Errorf("got ended %q, %v, want %q", got, err, test.ended)
				}
				if got := b.log.String(); strings.Count(got, test.log) != 1 {
					t.Errorf("got log %s, want %q in it once", got, test.log)
				}
				s.snapshot, s.entries = nil, nil
				b.restart() // what was repaired is durable
				if got, err := result[[]string](b, deskRef, "ended"); err != nil || !slices.Equal(got, test.ended) {
					t.Errorf("later: got ended %q, %v, want %q", got, err, test.ended)
				}
				if got, err := result[string](b, deskRef, "text"); err != nil || !utf8.ValidString(got) {
					t.Errorf("later: got %q, %v", got, err)
				}
			})
		})
	}
}

// opened returns the newest answer to an open of a reader.
func opened(r *reader) *host.OpenedInfo {
	for _, o := range slices.Backward(r.got) {
		if o.Kind == host.OutputOpened {
			return o.Opened
		}
	}
	return nil
}
