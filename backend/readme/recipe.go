package readme

import (
	"strconv"
	"strings"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Recipe was changed several times since the first ones were stored.
type Recipe struct {
	Name    string             `json:"name"`    // was title
	Minutes int                `json:"minutes"` // was time, a text
	First   string             `json:"first"`   // first and last were author
	Last    string             `json:"last"`
	Steps   actor.List[string] `json:"steps"` // was lines
}

// Cook is the state of a connection.
type Cook struct {
	Names []string `json:"names"` // was name
}

// The fields that version 2 replaces, and those that take their place.
type (
	recipeV1 struct {
		Time   string `json:"time"`
		Author string `json:"author"`
	}
	recipeV2 struct {
		Minutes int    `json:"minutes"`
		First   string `json:"first"`
		Last    string `json:"last"`
	}
)

// toV2 may run often and at any time: it only computes.
func toV2(old recipeV1) recipeV2 {
	var v recipeV2
	v.Minutes, _ = strconv.Atoi(strings.TrimSuffix(old.Time, " min")) // 0: unknown
	v.First, v.Last, _ = strings.Cut(old.Author, " ")
	return v
}

type cookV2 struct {
	Name string `json:"name"`
}

func toCook(old cookV2) Cook { return Cook{Names: strings.Fields(old.Name)} }

var recipes = actor.NewRegistry(
	actor.Define[Recipe]("recipe",
		actor.Version(1, actor.Rename("title", "name"), actor.Rename("lines", "steps")),
		actor.Version(2, actor.Migrate(toV2), actor.Drop("rating")),
		actor.Version(3, actor.MigrateConn(toCook)),
	),
)

// CreateConnState makes the state of a connection.
func (*Recipe) CreateConnState(_ *actor.ConnectContext, name string) Cook {
	return Cook{Names: strings.Fields(name)}
}

// Get returns the recipe.
func (r Recipe) Get(*actor.Context[Cook]) (name string, err error) {
	return strings.Join(append([]string{r.Name, strconv.Itoa(r.Minutes), r.First, r.Last}, r.Steps.Values()...), ", "), nil
}

// AddStep adds a step.
func (r *Recipe) AddStep(_ *actor.Context[Cook], text string) { r.Steps.Append(text) }
