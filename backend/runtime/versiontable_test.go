package runtime_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
)

type logV0 struct {
	Rows  actor.Table[uint64, string] `json:"rows"`
	Other actor.Table[string, int]    `json:"other"`
}

type logV1 struct {
	Lines actor.Table[uint64, string] `json:"lines"`
	N     int                         `json:"n"`
}

type logV2 struct {
	N int `json:"n"`
}

func (l *logV0) Add(_ *noState, text string) {
	l.Rows.Append(text)
	l.Other.Set(text, 1)
}
func (l *logV1) Add(_ *noState, text string) { l.Lines.Append(text) }
func (l *logV1) Count(_ *noState)            { l.N++ }
func (l *logV2) Count(_ *noState)            { l.N++ }
func (l logV1) Get(*noState) (all []string) {
	for _, text := range l.Lines.Range(0, 100) {
		all = append(all, text)
	}
	return append(all, fmt.Sprint(l.Lines.Len()))
}

// TestTablesAreRenamedAndDropped with the first change, whether it is one of the table or
// not; a Table that a binary does not have is kept.
func TestTablesAreRenamedAndDropped(t *testing.T) {
	onEachStore(t, func(s *site) {
		v0, v1 := actor.Define[logV0]("log"), actor.Define[logV1]("log", actor.Version(1, actor.Rename("rows", "lines"), actor.Drop("other")))
		headers := func(key, want string) {
			s.t.Helper()
			if got := fmt.Sprint(s.stored("log", key).Tables); got != want {
				s.t.Errorf("%s: got tables %s, want %s", key, got, want)
			}
		}
		s.deploy(v0)
		for _, key := range []string{"a", "b", "c"} {
			s.call("log", key, "add", "one")
		}
		s.deploy(v1)
		s.want(`["one","1"]`, "log", "a", "get")
		headers("a", "[{1 rows 1 13 2 u} {2 other 1 4 0 s}]")
		s.call("log", "a", "count")
		headers("a", "[{1 lines 1 13 2 u} {2  0 0 0 }]")
		s.call("log", "b", "add", "two")
		headers("b", "[{1 lines 2 26 3 u} {2  0 0 0 }]")
		s.crash(v1)
		s.want(`["one","1"]`, "log", "a", "get")
		s.want(`["one","two","2"]`, "log", "b", "get")
		s.call("log", "a", "add", "two")
		s.want(`["one","two","2"]`, "log", "a", "get")
		for _, key := range []string{"a", "b"} {
			page, err := s.store.Items(s.t.Context(), s.stored("log", key).Actor, store.ItemRange{Table: 2, Limit: 10, MaxBytes: 1000})
			if err != nil || len(page.Items) > 0 {
				s.t.Errorf("%s: got %v, %v in a dropped table", key, page.Items, err)
			}
		}

		s.deploy(v0)
		s.want("unavailable", "log", "a", "add", "lost")
		s.call("log", "c", "add", "two")

		// Without versions, a table is kept as other fields are.
		s.deploy(actor.Define[logV2]("log"))
		s.call("log", "c", "count")
		s.wantLines(1, "field=rows")
		headers("c", "[{1 rows 2 26 3 u} {2 other 2 8 0 s}]")
		s.deploy(v1)
		s.want(`["one","two","2"]`, "log", "c", "get")
		s.deploy(actor.Define[logV2]("log", actor.Version(1, actor.Drop("other")), actor.Version(2, actor.Drop("rows"))))
		s.call("log", "c", "count")
		headers("c", "[{1  0 0 0 } {2  0 0 0 }]")
	})
}

// logOver has the rows of a logV0 under the name of its other table.
type logOver struct {
	Other actor.Table[uint64, string] `json:"other"`
	N     int                         `json:"n"`
}

func (l *logOver) Add(_ *noState, text string) { l.Other.Append(text) }
func (l logOver) Get(*noState) (all []string) {
	for _, text := range l.Other.All() {
		all = append(all, text)
	}
	return append(all, fmt.Sprint(l.Other.Len()))
}

// TestATableIsRenamedOverAnother that the type no longer has: as of fields, the renamed one
// stays.
func TestATableIsRenamedOverAnother(t *testing.T) {
	onEachStore(t, func(s *site) {
		v1 := actor.Define[logOver]("log", actor.Version(1, actor.Rename("rows", "other")))
		s.deploy(actor.Define[logV0]("log"))
		s.call("log", "a", "add", "one")
		s.deploy(v1)
		s.want(`["one","1"]`, "log", "a", "get")
		s.call("log", "a", "add", "two")
		s.crash(v1)
		s.want(`["one","two","2"]`, "log", "a", "get")
		if got := fmt.Sprint(s.stored("log", "a").Tables); got != "[{1 other 2 26 3 u} {2  0 0 0 }]" {
			s.t.Errorf("got tables %s", got)
		}
	})
}

type rowV1 struct {
	Text string `json:"text"`
}

type rowV3 struct {
	Text  string `json:"text"`
	Words int    `json:"words"`
}

type itemsV0 struct {
	Rows actor.Table[uint64, string] `json:"rows"`
}

type itemsV3 struct {
	Lines actor.Table[uint64, rowV3] `json:"lines"`
}

func (l *itemsV0) Add(_ *noState, text string) { l.Rows.Append(text) }
func (l *itemsV3) Add(_ *noState, text string) { l.Lines.Append(rowV3{text, 100}) }
func (l itemsV3) Get(*noState) string {
	var all []rowV3
	for _, row := range l.Lines.All() {
		all = append(all, row)
	}
	one, ok := l.Lines.Get(1)
	return fmt.Sprint(all, one, ok)
}

// TestItemsAreMigrated when they are read, each from the version that has written it, also
// after the table was renamed.
func TestItemsAreMigrated(t *testing.T) {
	onEachStore(t, func(s *site) {
		v3 := actor.Define[itemsV3]("items",
			actor.Version(1, actor.MigrateItem("rows", func(old string) rowV1 {
				if old == "bad" {
					panic("bad")
				}
				return rowV1{old + "!"}
			})),
			actor.Version(2, actor.Rename("rows", "lines")),
			actor.Version(3, actor.MigrateItem("lines", func(old rowV1) rowV3 { return rowV3{old.Text, 1} })))
		s.deploy(actor.Define[itemsV0]("items"))
		for _, text := range []string{"one", "bad", "two"} {
			s.call("items", "a", "add", text)
		}
		s.deploy(v3)
		s.want(`"[{one! 1} {two! 1}] {one! 1} true"`, "items", "a", "get")
		s.call("items", "a", "add", "new")
		s.want(`"[{one! 1} {two! 1} {new 100}] {one! 1} true"`, "items", "a", "get")
		s.crash(v3)
		s.want(`"[{one! 1} {two! 1} {new 100}] {one! 1} true"`, "items", "a", "get")
	})
}

type rowsV0 struct {
	Rows actor.List[string] `json:"rows"`
	N    int                `json:"n"`
}

type rowsV3 struct {
	Lines actor.Table[uint64, rowV3] `json:"lines"`
	N     int                        `json:"n"`
}

func (l *rowsV0) Add(_ *noState, text string) { l.Rows.Append(text) }
func (l *rowsV3) Add(_ *noState, text string) { l.Lines.Append(rowV3{text, 100}) }
func (l *rowsV3) Count(*noState)              { l.N++ }
func (l *rowsV3) Fail(*noState) error {
	l.Lines.Delete(10)
	return actor.Errorf("no", "no")
}
func (l rowsV3) Get(*noState) string {
	s := ""
	for key, row := range l.Lines.All() {
		s += fmt.Sprintf("%d%v", key, row)
	}
	return fmt.Sprintf("%s%d", s, l.Lines.Len())
}

// rowsV1 moves a List into a Table, of which later steps change the items and the name.
func rowsV1() []actor.DefineOption {
	return []actor.DefineOption{
		actor.Version(1, actor.ToTable("rows", func(i int, old string) (uint64, rowV1) {
			if old == "twice" {
				i = 0
			}
			return uint64(10 * (i + 1)), rowV1{old + "!"}
		})),
		actor.Version(2, actor.Rename("rows", "lines")),
		actor.Version(3, actor.MigrateItem("lines", func(old rowV1) rowV3 { return rowV3{old.Text, 1} })),
	}
}

// TestAListBecomesATable with the first change, in one commit with the state that does not have
// the List any more. Until then reads see the Table and change nothing.
func TestAListBecomesATable(t *testing.T) {
	onEachStore(t, func(s *site) {
		v0, v3 := actor.Define[rowsV0]("rows"), actor.Define[rowsV3]("rows", rowsV1()...)
		const moved = `"10{one! 1}20{two! 1}2"`
		s.deploy(v0)
		for _, key := range []string{"read", "count", "add", "empty"} {
			for _, text := range []string{"one", "two"} {
				if key != "empty" {
					s.call("rows", key, "add", text)
				}
			}
		}
		s.call("rows", "twice", "add", "one")
		s.call("rows", "twice", "add", "twice")

		trial := runtime.NewTrial(actor.NewRegistry(v3))
		for key, want := range map[string]string{"read": "<nil>", "twice": "two items have the key 10"} {
			if got := fmt.Sprint(trial.Load(s.stored("rows", key)).Err); !strings.Contains(got, want) {
				s.t.Errorf("try %s: got %s, want %s", key, got, want)
			}
		}
		s.deploy(v3)
		s.want(moved, "rows", "read", "get")
		s.want("no", "rows", "read", "fail")
		s.want(moved, "rows", "read", "get")
		s.want("state_incompatible", "rows", "twice", "get")
		s.wantLines(1, "two items have the key 10")
		s.call("rows", "count", "count")
		s.call("rows", "add", "add", "three")
		s.call("rows", "empty", "add", "one")

		s.crash(v3)
		for key, want := range map[string]string{"read": moved, "count": moved, "add": `"10{one! 1}20{two! 1}21{three 100}3"`, "empty": `"1{one 100}1"`} {
			s.want(want, "rows", key, "get")
		}
		for key, want := range map[string]string{"read": `{"n":0,"rows":["one","two"]}`, "count": `{"n":1}`, "add": `{"n":0}`} {
			if got := string(s.stored("rows", key).State); got != want {
				s.t.Errorf("%s: got state %s, want %s", key, got, want)
			}
		}

		s.deploy(v0)
		s.want("unavailable", "rows", "count", "add", "lost")
		s.call("rows", "read", "add", "three")
		s.deploy(v3)
		s.want(`"10{one! 1}20{two! 1}30{three! 1}3"`, "rows", "read", "get")
	})
}

type bothV0 struct {
	Old actor.List[string]          `json:"old"`
	New actor.Table[uint64, string] `json:"new"`
}

type bothV1 struct {
	New actor.Table[uint64, string] `json:"new"`
}

func (b *bothV0) Add(_ *noState, old, new string) {
	if b.New.Set(1, new); old != "" {
		b.Old.Append(old)
	}
}
func (b bothV1) Get(*noState) int { return b.New.Len() }

// TestAListDoesNotOverwriteATable: if the Table already has items, nothing moves.
func TestAListDoesNotOverwriteATable(t *testing.T) {
	onEachStore(t, func(s *site) {
		v1 := actor.Define[bothV1]("both", actor.Version(1, actor.Rename("old", "new"), actor.ToTable("new", func(i int, old string) (uint64, string) { return uint64(i), old })))
		s.deploy(actor.Define[bothV0]("both"))
		s.call("both", "a", "add", "old", "new")
		s.call("both", "b", "add", "", "new")
		s.deploy(v1)
		s.want("state_incompatible", "both", "a", "get")
		s.wantLines(1, "that already has 1 items")
		s.want("1", "both", "b", "get")
	})
}

type keysV0 struct {
	Rows actor.Table[uint64, string] `json:"rows"`
}

type keysV1 struct {
	Rows actor.Table[int64, string] `json:"rows"`
}

func (k *keysV0) Add(_ *noState, text string) { k.Rows.Append(text) }
func (k *keysV0) Clear(*noState)              { k.Rows.Delete(1) }
func (k *keysV1) Add(_ *noState, text string) { k.Rows.Append(text) }
func (k keysV1) Keys(*noState) (keys []int64) {
	for key := range k.Rows.All() {
		keys = append(keys, key)
	}
	return keys
}

// TestATableKeepsItsKindOfKeys: the keys of a table are not read as those of another type. A
// table without items has none to misread.
func TestATableKeepsItsKindOfKeys(t *testing.T) {
	onEachStore(t, func(s *site) {
		v0, v1 := actor.Define[keysV0]("keys"), actor.Define[keysV1]("keys")
		s.deploy(v0)
		s.call("keys", "a", "add", "one")
		s.call("keys", "b", "add", "one")
		s.call("keys", "b", "clear")
		s.deploy(v1)
		s.want("state_incompatible", "keys", "a", "keys")
		s.wantLines(1, "the keys of table rows are stored as unsigned integers, and its type has signed integers now")
		s.call("keys", "b", "add", "two")
		s.want("[2]", "keys", "b", "keys")
		if err := runtime.NewTrial(actor.NewRegistry(v1)).Load(s.stored("keys", "a")).Err; err == nil || !strings.Contains(err.Error(), "signed integers") {
			t.Errorf("the trial finds %v", err)
		}
		s.deploy(v0)
		s.call("keys", "a", "add", "two")
		s.want("state_incompatible", "keys", "b", "add", "three")
	})
}
