package actor_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
)

// page is the newest version of a state.
type page struct {
	Name  string             `json:"name"`
	Views int                `json:"views"`
	Size  int64              `json:"size,string"`
	Tags  actor.List[string] `json:"tags"`
}

func (page) Get(*actor.Context[reader]) {}

func (page) CreateConnState(*actor.ConnectContext) reader { return reader{} }

type reader struct {
	Name string `json:"name"`
}

type (
	textViews   struct{ Views string }
	numberViews struct{ Views int }
	twoFields   struct{ Name, Title string }
	justTitle   struct{ Title string }
	listOfTags  struct{ Tags []string }
	mapOfTags   struct{ Tags map[string]bool }
	ownText     struct{}
)

func (ownText) MarshalText() ([]byte, error) { return nil, nil }

func to[New, Old any](Old) (n New) { return n }

func row[K, V any](int, V) (key K, value V) { return key, value }

// TestWrongVersionsAreRefused: Define says what to write.
func TestWrongVersionsAreRefused(t *testing.T) {
	page := func(options ...actor.DefineOption) func() {
		return func() { actor.Define[page]("page", options...) }
	}
	one := func(steps ...actor.Step) func() { return page(actor.Version(1, steps...)) }
	messages := func(steps ...actor.Step) func() {
		return func() {
			actor.Define[messenger]("x", actor.Version(1, steps...), actor.Handles((*messenger).closeVote))
		}
	}
	for _, test := range []struct {
		define func()
		want   string
	}{
		{page(actor.Version(2, actor.Drop("old"))), "actor.Version(2, …) is declared where version 1 is expected: declare every version from 1 on"},
		{page(actor.Version(1), actor.Version(3)), "actor.Version(3, …) is declared where version 2 is expected"},
		{page(actor.Version(1), actor.Version(1)), "actor.Version(1, …) is declared where version 2 is expected"},
		{page(actor.Version(0)), "what was stored without any has version 0"},
		{one(actor.Rename("title", "heading")), `actor.Version(1), Rename("title", "heading"): after it the state has no field "heading", but the fields name, views, size, tags: write names as they are in JSON`},
		{one(actor.Rename("views", "name")), `Rename("views", "name"): after it the state still has a field "views": remove that from the struct`},
		{one(actor.Rename("name", "name")), `Rename("name", "name"): the names are the same`},
		{one(actor.Rename("a", "name"), actor.Rename("b", "name")), `Rename("a", "name"): after it the state has no field "name", but the fields views, size, tags, b`},
		{one(actor.Rename("", "name")), "the name is empty"},
		{func() { actor.Rename("title", "") }, `actor: Rename("title", ""): the new name is empty; write actor.Drop("title")`},
		{one(actor.Drop("")), "the name is empty"},
		{one(actor.Drop("Views")), `Drop("Views"): after it the state still has a field "Views": remove that from the struct`},
		{page(actor.Version(1, actor.Drop("old")), actor.Version(2, actor.Rename("old", "name"))), `actor.Version(1), Drop("old"): after it the state still has a field "old"`},
		{one(actor.Step{}), "a step is made by actor.Rename, Drop, Migrate, MigrateConn, MigrateItem, ToTable, RenameMessage or MigrateMessage"},
		{func() { actor.Migrate[textViews, numberViews](nil) }, "actor: Migrate(nil): want a func(old actor_test.textViews) actor_test.numberViews"},
		{one(actor.Migrate(to[numberViews, textViews]), actor.Migrate(to[numberViews, textViews])), `actor_test.numberViews has a field "Views" that is a number, but what comes after it takes a string`},
		{one(actor.Migrate(to[textViews, numberViews])), `actor_test.textViews has a field "Views" that is a string, but what comes after it takes a number`},
		{one(actor.Migrate(to[twoFields, justTitle])), `actor_test.twoFields has a field "Title", which the state does not have after it; it has the fields name, views, size, tags`},
		{one(actor.Migrate(to[numberViews, page2])), `it takes the field "name" and does not return it, but the state has it after it: add it to actor_test.numberViews, or remove it from actor_test.pageV1`},
		{one(actor.Migrate(to[mapOfTags, listOfTags])), `actor_test.mapOfTags has a field "Tags" that is an object, but what comes after it takes an array`},
		{one(actor.Migrate(to[int, numberViews])), "want func(old Old) New with structs"},
		{one(actor.Migrate(to[numberViews, map[string]any])), "map[string]interface {} is none"},
		{one(actor.Migrate(to[ownText, numberViews])), "actor_test.ownText is none"},
		{one(actor.MigrateConn(to[string, reader])), "string is a string, but what comes after it takes an object"},
		{one(actor.MigrateConn(to[justTitle, string])), `actor_test.justTitle has a field "Title", which the states of connections do not have after it; they have the fields name`},
		{page(actor.Version(1, actor.MigrateConn(to[reader, int])), actor.Version(2, actor.MigrateConn(to[reader, string]))), "actor_test.reader is an object, but what comes after it takes a string"},
		{one(actor.MigrateItem("tags", to[string, int])), `after it the state has no Table "tags"`},
		{func() { actor.MigrateItem("", to[string, int]) }, "the name of the Table is empty"},
		{func() { actor.Define[diary]("x", actor.Version(1, actor.MigrateItem("days", to[string, int]))) }, "string is a string, but what comes after it takes an object"},
		{func() { actor.Define[diary]("x", actor.Version(1, actor.MigrateItem("days", to[justTitle, int]))) }, `actor_test.justTitle has a field "Title", which the items do not have`},
		{func() {
			actor.Define[diary]("x", actor.Version(1, actor.MigrateItem("old", to[entry, int]), actor.Rename("old", "days")))
		}, ""},
		{func() {
			actor.Define[diary]("x", actor.Version(1, actor.MigrateItem("old", to[string, int])), actor.Version(2, actor.Drop("old")))
		}, ""},
		{one(actor.ToTable("tags", row[int, string])), `after it the state has no Table "tags"`},
		{one(actor.ToTable("old", row[int, string])), `after it the state has no Table "old"`},
		{func() { actor.ToTable("", row[int, string]) }, "want the name of the field in JSON, and a function"},
		{func() { actor.ToTable[int, int, int]("days", nil) }, "want the name of the field in JSON, and a function"},
		{func() { actor.Define[diary]("x", actor.Version(1, actor.ToTable("days", row[int, entry]))) }, "its function returns keys of type int, those of the Table are of type string"},
		{func() { actor.Define[diary]("x", actor.Version(1, actor.ToTable("days", row[string, string]))) }, "string is a string, but what comes after it takes an object"},
		{func() {
			actor.Define[diary]("x", actor.Version(1, actor.ToTable("days", row[string, entry]), actor.ToTable("days", row[string, entry])))
		}, `after it the state has no Table "days"`},
		{func() {
			actor.Define[diary]("x", actor.Version(1, actor.Rename("a", "old"), actor.ToTable("old", row[string, entry]), actor.Rename("old", "days")))
		}, ""},
		{func() {
			actor.Define[diary]("x", actor.Version(1, actor.ToTable("old", row[int, int]), actor.Drop("old")))
		}, ""},
		{func() { actor.Define[fine]("x", actor.Version(1, actor.MigrateConn(to[int, int]))) }, "have no state"},
		{one(actor.RenameMessage("a", "b")), `actor.Version(1), RenameMessage("a", "b"): after it there is no handler of messages "b", but of none: write names as they are stored`},
		{messages(actor.RenameMessage("a", "letter")), `no handler of messages "letter", but of closeVote: write names as they are stored, as closeVote for CloseVote`},
		{messages(actor.RenameMessage("closeVote", "closeVote")), "the names are the same"},
		{messages(actor.RenameMessage("a", "closeVote"), actor.RenameMessage("b", "closeVote")), `RenameMessage("a", "closeVote"): after it there is no handler of messages "closeVote", but of b`},
		{messages(actor.RenameMessage("closeVote", "b"), actor.RenameMessage("b", "closeVote")), ""},
		{messages(actor.RenameMessage("a", "closeVote"), actor.MigrateMessage("a", to[closeVote, int])), `MigrateMessage("a", func(int) actor_test.closeVote): after it there is no handler of messages "a", but of closeVote`},
		{messages(actor.MigrateMessage("a", to[closeVote, int]), actor.RenameMessage("a", "closeVote")), ""},
		{messages(actor.MigrateMessage("closeVote", to[int, int])), "int is a number, but what comes after it takes an object"},
		{messages(actor.MigrateMessage("closeVote", to[justTitle, int])), `actor_test.justTitle has a field "Title", which the messages do not have`},
		{func() { actor.RenameMessage("", "a") }, "want the names of two types of messages"},
		{func() { actor.RenameMessage("a", "") }, "want the names of two types of messages"},
		{func() { actor.MigrateMessage("", to[int, int]) }, "the name is empty: want that of a type of messages"},
		{func() { actor.MigrateMessage[int, int]("a", nil) }, "MigrateMessage(nil): want a func(old int) int"},

		{one(actor.Rename("title", "name"), actor.Drop("old"), actor.Migrate(to[numberViews, textViews])), ""},
		{page(actor.Version(1, actor.Rename("a", "b")), actor.Version(2, actor.Rename("b", "name")), actor.Version(3), actor.Version(4, actor.MigrateConn(to[reader, string]))), ""},
		{one(actor.Migrate(to[page3, justTitle])), ""},
	} {
		t.Run("", func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				if got == "<nil>" {
					got = ""
				}
				if !strings.Contains(got, test.want) || test.want == "" && got != "" {
					t.Errorf("got panic %q, want %q", got, test.want)
				}
			}()
			test.define()
		})
	}
}

type (
	pageV1 struct {
		Name string `json:"name"`
		Old  json.RawMessage
	}
	page2 = pageV1
	page3 = page
)
