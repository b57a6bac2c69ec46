package runtime_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// songV0 to songV3 are four versions of an actor: a rename of a scalar field and of a List,
// a field that changes its type and goes into two, and one that is dropped.
type songV0 struct {
	Title string             `json:"title"`
	Plays int                `json:"plays"`
	Draft string             `json:"draft,omitempty"`
	Lines actor.List[string] `json:"lines"`
}

type songV1 struct {
	Name   string             `json:"name"`
	Plays  int                `json:"plays"`
	Draft  string             `json:"draft,omitempty"`
	Verses actor.List[string] `json:"verses"`
}

type songV2 struct {
	Name   string             `json:"name"`
	Count  string             `json:"count"`
	Loved  bool               `json:"loved"`
	Draft  string             `json:"draft,omitempty"`
	Verses actor.List[string] `json:"verses"`
}

type songV3 struct {
	Name   string             `json:"name"`
	Count  string             `json:"count"`
	Loved  bool               `json:"loved"`
	Verses actor.List[string] `json:"verses"`
}

type plays struct {
	Plays int `json:"plays"`
}

type count struct {
	Count string `json:"count"`
	Loved bool   `json:"loved"`
}

var songSteps = [][]actor.Step{
	{actor.Rename("title", "name"), actor.Rename("lines", "verses")},
	{actor.Migrate(func(old plays) count { return count{fmt.Sprint(old.Plays), old.Plays >= 2} })},
	{actor.Drop("draft")},
}

// song returns the definition at a version.
func song(version int) *actor.Definition {
	var options []actor.DefineOption
	for v, steps := range songSteps[:version] {
		options = append(options, actor.Version(v+1, steps...))
	}
	switch version {
	case 0:
		return actor.Define[songV0]("song", options...)
	case 1:
		return actor.Define[songV1]("song", options...)
	case 2:
		return actor.Define[songV2]("song", options...)
	}
	return actor.Define[songV3]("song", options...)
}

func (s *songV0) Sing(_ *noState, line string) {
	s.Title, s.Plays, s.Draft = line, s.Plays+1, "draft"
	s.Lines.Append(line)
}

func (s *songV1) Sing(_ *noState, line string) {
	s.Name, s.Plays, s.Draft = line, s.Plays+1, "draft"
	s.Verses.Append(line)
}

func more(count string) string {
	n, err := strconv.Atoi(count)
	if count != "" && err != nil {
		return err.Error()
	}
	return fmt.Sprint(n + 1)
}

func (s *songV2) Sing(_ *noState, line string) {
	s.Name, s.Count, s.Draft = line, more(s.Count), "draft"
	s.Verses.Append(line)
}

func (s *songV3) Sing(_ *noState, line string) {
	s.Name, s.Count = line, more(s.Count)
	s.Verses.Append(line)
}

func (s songV0) Get(*noState) string { return fmt.Sprint(s.Title, s.Plays, s.Lines.Values()) }
func (s songV1) Get(*noState) string { return fmt.Sprint(s.Name, s.Plays, s.Verses.Values()) }
func (s songV2) Get(*noState) string {
	return fmt.Sprint(s.Name, s.Count, s.Loved, s.Verses.Values())
}
func (s songV3) Get(*noState) string {
	return fmt.Sprint(s.Name, s.Count, s.Loved, s.Verses.Values())
}

// songAfter returns what a song that was sung twice by one version is in a later one, and the
// same after it was sung once more: the state as it is stored.
func songAfter(version int) (got, stored string) {
	switch version {
	case 0:
		return `"b2 [a b]"`, `{"title":"c","plays":3,"draft":"draft","lines":["a","b","c"]}`
	case 1:
		return `"b2 [a b]"`, `{"name":"c","plays":3,"draft":"draft","verses":["a","b","c"]}`
	case 2:
		return `"b2true [a b]"`, `{"name":"c","count":"3","loved":true,"draft":"draft","verses":["a","b","c"]}`
	}
	return `"b2true [a b]"`, `{"name":"c","count":"3","loved":true,"verses":["a","b","c"]}`
}

// TestAVersionReadsWhatEachEarlierOneHasStored, also if versions between were never
// deployed, and after a crash before and behind the first change.
func TestAVersionReadsWhatEachEarlierOneHasStored(t *testing.T) {
	for from := range 4 {
		for to := from + 1; to < 4; to++ {
			t.Run(fmt.Sprint(from, "to", to), func(t *testing.T) {
				onEachStore(t, func(s *site) {
					s.deploy(song(from))
					s.call("song", "a", "sing", "a")
					s.call("song", "a", "sing", "b")
					before := string(s.stored("song", "a").State)
					got, stored := songAfter(to)
					if from == 2 { // in which nothing makes a song loved
						got = `"b2false [a b]"`
						stored = `{"name":"c","count":"3","loved":false,"verses":["a","b","c"]}`
					}
					s.deploy(song(to))
					s.want(got, "song", "a", "get")
					s.wantStored(before, "song", "a")
					s.crash(song(to))
					s.want(got, "song", "a", "get")
					s.call("song", "a", "sing", "c")
					s.wantStored(stored, "song", "a")
					s.crash(song(to))
					s.wantStored(stored, "song", "a")
					if v := s.stored("song", "a").Version; v != to {
						s.t.Errorf("got version %d stored, want %d", v, to)
					}
					s.call("song", "b", "sing", "new")
					if v := s.stored("song", "b").Version; v != to {
						s.t.Errorf("a new actor: got version %d stored, want %d", v, to)
					}
				})
			})
		}
	}
}

// TestARollBackLeavesNewerStatesAlone: the actors that the newer binary has changed wait for
// it, all others work.
func TestARollBackLeavesNewerStatesAlone(t *testing.T) {
	onEachStore(t, func(s *site) {
		s.deploy(song(0))
		for _, key := range []string{"touched", "read", "asleep"} {
			s.call("song", key, "sing", "a")
			s.call("song", key, "sing", "b")
		}
		s.deploy(song(2))
		s.call("song", "touched", "sing", "c")
		s.want(`"b2true [a b]"`, "song", "read", "get")
		_, after := songAfter(2)

		for range 2 {
			s.deploy(song(0))
			s.want("unavailable", "song", "touched", "get")
			s.want("unavailable", "song", "touched", "sing", "lost")
			if got := s.open("song", "touched", host.OpenRequest{Conn: "c"}).last(); got == nil || got.Kind != host.OutputClosed || got.Err.Code != "unavailable" || got.Err.Final {
				s.t.Errorf("a connection: got %+v, want one that may try again", got)
			}
			s.want(`"b2 [a b]"`, "song", "read", "get")
			s.want(`"b2 [a b]"`, "song", "asleep", "get")
		}
		s.call("song", "asleep", "sing", "c")
		s.wantStored(after, "song", "touched")
		s.deploy(song(1)) // newer, but not new enough
		s.want("unavailable", "song", "touched", "get")
		s.want(`"c3 [a b c]"`, "song", "asleep", "get")
		s.wantLines(3, "stored=2")

		s.deploy(song(2))
		s.want(`"c3true [a b c]"`, "song", "touched", "get")
		s.want(`"b2true [a b]"`, "song", "read", "get")
		s.want(`"c3true [a b c]"`, "song", "asleep", "get")
		s.call("song", "asleep", "sing", "d")
		s.deploy(song(3))
		s.want(`"d4true [a b c d]"`, "song", "asleep", "get")
	})
}

// TestABackupIsMigrated: a backup of before a deploy works after it.
func TestABackupIsMigrated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newSite(t, t.TempDir())
		s.deploy(song(0))
		s.call("song", "a", "sing", "a")
		s.call("song", "a", "sing", "b")
		file := filepath.Join(t.TempDir(), "backup")
		if err := sqlite.Backup(context.Background(), s.dir, file); err != nil {
			t.Fatal(err)
		}
		s.deploy(song(3))
		s.call("song", "a", "sing", "lost")
		s.stop()
		if _, err := sqlite.Restore(context.Background(), s.dir, file); err != nil {
			t.Fatal(err)
		}
		got, stored := songAfter(3)
		s.deploy(song(3))
		s.want(got, "song", "a", "get")
		s.call("song", "a", "sing", "c")
		s.wantStored(stored, "song", "a")
	})
}

// refusingStore fails the next commit if refuse is set.
type refusingStore struct {
	store.Store
	refuse bool
}

func (s *refusingStore) Immediate() bool { return false }

func (s *refusingStore) Commit(ctx context.Context, group []*store.Commit) []error {
	if !s.refuse {
		return s.Store.Commit(ctx, group)
	}
	s.refuse = false
	errs := make([]error, len(group))
	for i := range errs {
		errs[i] = store.ErrFull
	}
	return errs
}

// TestAVersionIsNotStoredByACommitThatFails: the next change has the whole state again.
func TestAVersionIsNotStoredByACommitThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		refusing := &refusingStore{Store: memory.New(memory.Options{})}
		s := &site{t: t, store: refusing}
		t.Cleanup(s.stop)
		s.deploy(song(0))
		s.call("song", "a", "sing", "a")
		s.call("song", "a", "sing", "b")
		s.deploy(song(3))
		refusing.refuse = true
		s.want("unavailable", "song", "a", "sing", "lost")
		if v := s.stored("song", "a").Version; v != 0 {
			t.Errorf("got version %d stored, want 0", v)
		}
		got, stored := songAfter(3)
		s.want(got, "song", "a", "get")
		s.call("song", "a", "sing", "c")
		s.wantStored(stored, "song", "a")
	})
}

// cautious has a step that does not like every state.
type cautious struct {
	Age int `json:"age"`
}

func (c cautious) Get(*noState) int           { return c.Age }
func (c *cautious) Grow(*noState)             { c.Age++ }
func (b *careless) Be(_ *noState, age string) { b.Age = age }

type careless struct {
	Age string `json:"age"`
}

// TestAStepThatFailsOverwritesNothing, whether the JSON does not fit or the step panics.
func TestAStepThatFailsOverwritesNothing(t *testing.T) {
	onEachStore(t, func(s *site) {
		s.deploy(actor.Define[careless]("person"))
		s.call("person", "good", "be", "7")
		s.call("person", "bad", "be", "seven")
		s.deploy(actor.Define[cautious]("person", actor.Version(1, actor.Migrate(func(old careless) cautious {
			n, err := strconv.Atoi(old.Age)
			if err != nil {
				panic(err)
			}
			return cautious{n}
		}))))
		s.want("7", "person", "good", "get")
		s.want("state_incompatible", "person", "bad", "get")
		s.want("state_incompatible", "person", "bad", "grow")
		s.wantStored(`{"age":"seven"}`, "person", "bad")
		s.deploy(actor.Define[cautious]("person", actor.Version(1)))
		s.want("state_incompatible", "person", "good", "get")
		s.wantStored(`{"age":"7"}`, "person", "good")
	})
}

// guestV0 and guestV1 are two versions of a connection's state.
type guestV0 struct {
	Name string `json:"name"`
}

type guestV1 struct {
	First, Last string
}

type innV0 struct {
	N int `json:"n"`
}

type innV1 struct {
	N int `json:"n"`
}

func (*innV0) CreateConnState(*actor.ConnectContext) guestV0 { return guestV0{"Ada Lovelace"} }
func (i *innV0) Greet(c *actor.Context[guestV0])             { i.N++ }
func (*innV1) CreateConnState(*actor.ConnectContext) guestV1 { return guestV1{"New", "Guest"} }
func (i *innV1) Greet(c *actor.Context[guestV1])             { i.N++ }
func (i *innV1) Marry(c *actor.Context[guestV1], name string) {
	for conn := range c.Conns() {
		s := conn.State()
		s.Last = name
		conn.SetState(s)
	}
}

func (i innV1) Guests(c *actor.Context[guestV1]) (names []string) {
	for conn := range c.Conns() {
		names = append(names, conn.State().First+" "+conn.State().Last)
	}
	return names
}

// TestStatesOfConnectionsAreMigrated, each from the version that has written it.
func TestStatesOfConnectionsAreMigrated(t *testing.T) {
	onEachStore(t, func(s *site) {
		v0 := actor.Define[innV0]("inn")
		v1 := actor.Define[innV1]("inn", actor.Version(1, actor.MigrateConn(func(old guestV0) guestV1 {
			var g guestV1
			_, _ = fmt.Sscan(old.Name, &g.First, &g.Last)
			return g
		})))
		versions := func(want ...int) {
			s.t.Helper()
			var got []int
			for _, c := range s.stored("inn", "a").Conns {
				got = append(got, c.Version)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				s.t.Errorf("got versions %v of the connections, want %v", got, want)
			}
		}
		s.deploy(v0)
		s.open("inn", "a", host.OpenRequest{Conn: "one"}).read()
		versions(0)
		s.deploy(v1)
		s.want(`["Ada Lovelace"]`, "inn", "a", "guests")
		s.call("inn", "a", "greet")
		versions(0)
		s.open("inn", "a", host.OpenRequest{Conn: "two"}).read()
		versions(0, 1)
		s.crash(v1)
		s.want(`["Ada Lovelace","New Guest"]`, "inn", "a", "guests")
		s.call("inn", "a", "marry", "King")
		versions(1, 1)
		s.deploy(v0)
		s.want("unavailable", "inn", "a", "greet")
		s.deploy(v1)
		s.want(`["Ada King","New King"]`, "inn", "a", "guests")
		if got := s.open("inn", "a", host.OpenRequest{Conn: "one"}).last(); got == nil || got.Kind != host.OutputOpened || !got.Opened.Resumed {
			s.t.Errorf("a migrated connection: got %+v, want it resumed", got)
		}
	})
}
