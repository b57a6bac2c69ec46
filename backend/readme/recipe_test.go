package readme

import (
	"context"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/server"
)

// recipeV0 is a Recipe as the first binary had it.
type recipeV0 struct {
	Title  string             `json:"title"`
	Time   string             `json:"time"`
	Author string             `json:"author"`
	Rating int                `json:"rating"`
	Lines  actor.List[string] `json:"lines"`
}

func (r *recipeV0) Write(_ *actor.Context[actor.NoState], title string) {
	r.Title, r.Time, r.Author, r.Rating = title, "30 min", "Ada Lovelace", 5
	r.Lines.Append("boil water")
}

var recipesV0 = actor.NewRegistry(actor.Define[recipeV0]("recipe"))

func TestRecipesAreMigrated(t *testing.T) {
	actortest.Run(t, recipesV0, func(n *actortest.Node) {
		recipe := n.Actor("recipe", "tea")
		actortest.Call[any](recipe, "write", "Tea")
		n.Deploy(recipes)
		if got := actortest.Call[string](recipe, "get"); got != "Tea, 30, Ada, Lovelace, boil water" {
			t.Errorf("got %s", got)
		}
		actortest.Call[any](recipe, "addStep", "wait")
		n.Deploy(recipesV0) // a roll-back
		if err := recipe.Fail("write", "lost"); err.Code != "unavailable" {
			t.Errorf("got %v, want unavailable", err)
		}
		n.Deploy(recipes)
		if got := actortest.Call[string](recipe, "get"); got != "Tea, 30, Ada, Lovelace, boil water, wait" {
			t.Errorf("got %s", got)
		}
	})
}

// checkBackup is what a deploy script of a server of your own calls.
func checkBackup(ctx context.Context, file string) (ok bool, report string, err error) {
	r, err := server.Check(ctx, recipes, server.CheckOptions{Data: file})
	if err != nil {
		return false, "", err
	}
	return r.OK(), r.String(), nil
}

func TestCheckBackup(t *testing.T) {
	srv, err := server.New(recipes, server.Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close(context.Background())
	if _, _, err := checkBackup(t.Context(), "nothing"); err == nil {
		t.Error("got no error for a file that does not exist")
	}
}
