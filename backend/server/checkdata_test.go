package server_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// archive is an actor with everything that can be stored.
type archive struct {
	Name   string                      `json:"name"`
	Notes  actor.List[archiveNote]     `json:"notes"`
	Boxes  actor.Table[uint64, string] `json:"boxes"`
	Labels actor.Map[string, int]      `json:"labels"`
}

type archiveNote struct {
	At time.Time `json:"at"`
}

type visitor struct {
	Age int `json:"age"`
}

func (*archive) CreateConnState(*actor.ConnectContext) visitor { return visitor{} }

func (*archive) Get(*actor.Context[visitor]) {}

// dusting is a message of an archive. Version 0 stored it as a string.
type dusting struct {
	Room string `json:"room"`
}

func (*archive) dust(*actor.Context[visitor], dusting) error { return nil }

var archives = actor.NewRegistry(
	actor.Define[archive]("archive", actor.Version(1, actor.Rename("title", "name"), actor.MigrateMessage("dusting", func(old string) dusting { return dusting{old} })),
		actor.Handles((*archive).dust)),
	actor.Define[Pump]("pump"),
)

// storeArchive commits an actor as some binary could have.
func storeArchive(t testing.TB, s store.Store, c store.Commit) {
	c.Actor, c.Log, c.Rev, c.Time, c.NextConn = host.ActorID(c.Name, c.Key), "log", 1, time.Now(), 1
	if errs := s.Commit(t.Context(), []*store.Commit{&c}); errs != nil {
		t.Fatal(errs)
	}
}

// TestCheckFindsWhatABinaryCannotLoad in a directory, also while a process has it open, and in
// a backup, and changes nothing.
func TestCheckFindsWhatABinaryCannotLoad(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // again
	state := func(rest string) []byte { return []byte(`{"title":"a"` + rest + `}`) }
	for _, c := range []store.Commit{
		{Key: []string{"good"}, State: state(`,"notes":[],"labels":{}`)},
		{Key: []string{"migrated"}, State: []byte(`{"name":"a"}`), Version: 1},
		{Key: []string{"note"}, State: state(`,"notes":[{},{"at":"2026-01-01T00:00:00Z"},{"at":5}]`)},
		{Key: []string{"label", "x"}, State: state(`,"labels":{"a":1,"b":"two"}`)},
		{Key: []string{"newer"}, State: []byte(`{"whatever":1}`), Version: 2},
		{Key: []string{"unknown"}, State: state(`,"colour":"red","size":7`)},
		{Key: []string{"unknown too"}, State: state(`,"colour":"blue"`), Tables: []store.Table{{ID: 1, Field: "shelves", Len: 1}}},
		{Key: []string{"conn"}, State: state(``), Conns: []store.Conn{{Num: 1, ID: "fine", State: []byte(`{"age":7}`)}, {Num: 2, ID: "odd", State: []byte(`{"age":"old"}`)}}},
		{
			Key: []string{"messages"}, State: state(``), NextMessage: 9, Messages: []store.Message{
				{ID: 1, Order: 1, Type: "dusting", Data: []byte(`"hall"`)},
				{ID: 2, Order: 2, Type: "dusting", Data: []byte(`{"room":"hall"}`)},
				{ID: 3, Order: 3, Type: "dusting", Version: 1, Data: []byte(`{"room":5}`)},
				{ID: 4, Order: 4, Type: "airing", Data: []byte(`{}`)},
				{ID: 6, Order: 6, Type: "dusting", Version: 2, Data: []byte(`{}`)},
				{ID: 5, Order: 5, To: "x", Name: "other", Type: "whatever", Data: []byte(`{}`)},
				{ID: 7, Order: 7, To: "y", Name: "pump", Type: "dusting", Data: []byte(`{}`)},
				{ID: 8, Order: 8, To: "z", Name: "archive", Type: "dusting", Data: []byte(`"hall"`)},
			},
		},
		{
			Key: []string{"item"}, State: state(``), Tables: []store.Table{{ID: 1, Field: "boxes", Len: 1}},
			Items: []store.ItemEdit{{Table: 1, Key: []byte{0, 0, 0, 0, 0, 0, 0, 1}, Value: []byte(`5`)}},
		},
	} {
		c.Name = "archive"
		storeArchive(t, s, c)
	}
	storeArchive(t, s, store.Commit{Name: "gone", Key: []string{"a"}, State: []byte(`{}`)})
	want := []server.CheckedDefinition{
		{
			Name: "archive", Actors: 10, Newer: 1, Faulty: 5,
			Faults: []server.CheckFault{
				{Key: []string{"note"}, Text: `notes[2].at: want a time.Time: Time.UnmarshalJSON: input is not a JSON string`},
				{Key: []string{"label", "x"}, Text: `labels["b"]: want an integer, got string`},
				{Key: []string{"conn"}, Text: "the state of connection odd: age: want an integer, got string"},
				{Key: []string{"messages"}, Text: "message 2: migrate the message dusting: actor.Version(1), MigrateMessage(\"dusting\", func(string) server_test.dusting): want a string, got object"},
				{Key: []string{"messages"}, Text: "message 3: decode the message dusting: room: want a string, got number"},
				{Key: []string{"messages"}, Text: `message 4: "archive" has no handler of messages of type "airing": add actor.Handles with one`},
				{Key: []string{"messages"}, Text: `message 5: it is for an actor of "other", which has no definition`},
				{Key: []string{"messages"}, Text: `message 6: the message was made by version 2 of "archive", this is version 1`},
				{Key: []string{"messages"}, Text: `message 7: "pump" has no handler of messages of type "dusting": add actor.Handles with one`},
				{Key: []string{"item"}, Text: "table boxes: item 1: json: cannot unmarshal number into Go value of type string"},
			},
			Unknown: []server.UnknownField{{Name: "colour", Actors: 2}, {Name: "shelves", Actors: 1}, {Name: "size", Actors: 1}},
		},
		{Name: "gone", Undefined: true, Actors: 1},
		{Name: "pump"},
	}
	for i, f := range want[0].Faults {
		want[0].Faults[i].Actor = host.ActorID("archive", f.Key)
	}
	const text = `archive: 10 actors, 4 ok
  1 stored by a newer version of the definition: unavailable in this one
  5 faulty
    ["note"]: notes[2].at: want a time.Time: Time.UnmarshalJSON: input is not a JSON string
    ["label","x"]: labels["b"]: want an integer, got string
    ["conn"]: the state of connection odd: age: want an integer, got string
    ["messages"]: message 2: migrate the message dusting: actor.Version(1), MigrateMessage("dusting", func(string) server_test.dusting): want a string, got object
    ["messages"]: message 3: decode the message dusting: room: want a string, got number
    ["messages"]: message 4: "archive" has no handler of messages of type "airing": add actor.Handles with one
    ["messages"]: message 5: it is for an actor of "other", which has no definition
    ["messages"]: message 6: the message was made by version 2 of "archive", this is version 1
    ["messages"]: message 7: "pump" has no handler of messages of type "dusting": add actor.Handles with one
    ["item"]: table boxes: item 1: json: cannot unmarshal number into Go value of type string
  field "colour" of 2 actors is unknown and kept
  field "shelves" of 1 actor is unknown and kept
  field "size" of 1 actor is unknown and kept
gone: 1 actor without a definition: they stay stored and cannot be reached
pump: 0 actors
`
	check := func(path string) {
		t.Helper()
		calls := 0
		report, err := server.Check(t.Context(), archives, server.CheckOptions{Data: path, Progress: func(done, total int) {
			if calls++; done != calls || total != 11 {
				t.Errorf("progress: got %d of %d, want %d of 11", done, total, calls)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(report.Definitions, want) {
			t.Errorf("got\n%+v, want\n%+v", report.Definitions, want)
		}
		if got := report.String(); got != text || report.OK() || calls != 11 {
			t.Errorf("got %s, %t, %d calls of Progress, want\n%s", got, report.OK(), calls, text)
		}
	}
	check(dir)
	backup := filepath.Join(t.TempDir(), "backup")
	if err := sqlite.Backup(t.Context(), dir, backup); err != nil {
		t.Fatal(err)
	}
	check(backup)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := sumOf(t, dir)
	check(dir)
	if after := sumOf(t, dir); after != before {
		t.Errorf("the directory changed:\n%s\nbefore\n%s", after, before)
	}
	if _, err := server.Check(t.Context(), archives, server.CheckOptions{Data: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "name the server's data directory or a backup") {
		t.Errorf("an empty directory: got %v", err)
	}
}

// sumOf returns the names, sizes and times of files.
func sumOf(t *testing.T, dir string) (sum string) {
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += fmt.Sprintln(info.Name(), info.Size(), info.ModTime())
	}
	return sum
}

// TestCheckReadsBothEndsOfATable, or all of it.
func TestCheckReadsBothEndsOfATable(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const items = 5000
	for _, bad := range []int{0, 999, 1000, 3999, 4000, 4999} {
		c := store.Commit{Name: "archive", Key: []string{fmt.Sprint(bad)}, State: []byte(`{}`), Tables: []store.Table{{ID: 1, Field: "boxes", Len: items}}}
		for i := range items {
			value := `"fine"`
			if i == bad {
				value = `5`
			}
			c.Items = append(c.Items, store.ItemEdit{Table: 1, Key: fmt.Appendf(nil, "%08d", i), Value: []byte(value)})
		}
		storeArchive(t, s, c)
	}
	for all, want := range map[bool]string{false: "[[0] [999] [4000] [4999]]", true: "[[0] [999] [1000] [3999] [4000] [4999]]"} {
		report, err := server.Check(t.Context(), archives, server.CheckOptions{Data: dir, AllItems: all})
		if err != nil {
			t.Fatal(err)
		}
		var keys []any
		for _, f := range report.Definitions[0].Faults {
			keys = append(keys, f.Key)
		}
		if got := fmt.Sprint(keys); got != want {
			t.Errorf("all %t: got faults in %s, want %s", all, got, want)
		}
	}
}

// BenchmarkCheck checks a store of 100,000 actors with a List of 10 items each, of which it
// migrates all. peak-MB is the memory of the whole process.
func BenchmarkCheck(b *testing.B) {
	const actors = 100_000
	dir := b.TempDir()
	s, err := sqlite.Open(context.Background(), dir, sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	note := `{"at":"2026-01-01T00:00:00Z"}`
	state := []byte(`{"title":"a title of some length","notes":[` + note + strings.Repeat(","+note, 9) + `],"labels":{"a":1,"b":2}}`)
	for n := 0; n < actors; {
		var group []*store.Commit
		for range 1000 {
			key := []string{fmt.Sprint(n)}
			group = append(group, &store.Commit{Actor: host.ActorID("archive", key), Name: "archive", Key: key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1, State: state})
			n++
		}
		if errs := s.Commit(context.Background(), group); errs != nil {
			b.Fatal(errs)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	debug.FreeOSMemory()
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	peak := uint64(0)
	for b.Loop() {
		report, err := server.Check(b.Context(), archives, server.CheckOptions{Data: dir, Progress: func(done, _ int) {
			if done%1000 == 0 {
				metrics.Read(sample)
				peak = max(peak, sample[0].Value.Uint64()-sample[1].Value.Uint64())
			}
		}})
		if err != nil || !report.OK() || report.Definitions[0].Actors != actors {
			b.Fatal(report, err)
		}
	}
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
}

// brittle panics when it is decoded.
type brittle struct{}

func (brittle) MarshalJSON() ([]byte, error) { return []byte("1"), nil }
func (*brittle) UnmarshalJSON([]byte) error  { panic("brittle") }

type brittleState struct {
	Field brittle                      `json:"field"`
	List  actor.List[brittle]          `json:"list"`
	Table actor.Table[uint64, brittle] `json:"table"`
}

func (*brittleState) CreateConnState(*actor.ConnectContext) brittle { return brittle{} }

func (*brittleState) Get(*actor.Context[brittle]) {}

// TestCheckFindsWhatPanics: an UnmarshalJSON that panics is a fault of its actor.
func TestCheckFindsWhatPanics(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []store.Commit{
		{Key: []string{"field"}, State: []byte(`{"field":1}`)},
		{Key: []string{"list"}, State: []byte(`{"list":[1]}`)},
		{Key: []string{"conn"}, State: []byte(`{}`), Conns: []store.Conn{{Num: 1, ID: "a", State: []byte(`1`)}}},
		{
			Key: []string{"item"}, State: []byte(`{}`), Tables: []store.Table{{ID: 1, Field: "table", Len: 1}},
			Items: []store.ItemEdit{{Table: 1, Key: []byte{0, 0, 0, 0, 0, 0, 0, 1}, Value: []byte(`1`)}},
		},
	} {
		c.Name = "brittle"
		storeArchive(t, s, c)
	}
	report, err := server.Check(t.Context(), actor.NewRegistry(actor.Define[brittleState]("brittle")), server.CheckOptions{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	if d := report.Definitions[0]; d.Faulty != 4 || strings.Count(report.String(), "panic: brittle") != 4 {
		t.Errorf("got %d faulty actors, want all 4:\n%s", d.Faulty, report)
	}
}
