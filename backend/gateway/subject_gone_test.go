package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// A client whose connection is gone is told, too, that it was another subject's: by the owner
// that it got with it, also after a restart and without a position.
func TestSubject_theConnectionIsGone(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", purse)
		e.settle()
		opened := c.takeMessages()[0]
		if opened.Owner == "" || strings.Contains(opened.Owner, "ada") {
			t.Fatalf("got owner %q", opened.Owner)
		}
		c.cut()
		for _, restart := range []bool{false, true} {
			time.Sleep(2 * time.Minute) // longer than ResumeWindow
			e.settle()
			if restart {
				if e.dir == "" {
					return
				}
				e.restart()
			}
			for _, row := range []struct{ who, owner, resume, want string }{
				{"bob", opened.Owner, opened.Log, "identity"},
				{"bob", opened.Owner, "", "identity"},
				{"", opened.Owner, opened.Log, "identity"},
				{"ada", opened.Owner, opened.Log, "expired"},
				{"ada", opened.Owner, "", "<nil>"},
				{"bob", "", opened.Log, "expired"},                        // an older client
				{"bob", "x", opened.Log, "expired"},                       // of no server
				{"bob", "AAAA" + opened.Owner[4:], opened.Log, "expired"}, // of another store
			} {
				c := e.dialAs(cookie(row.who))
				options := []string{purse, `"owner":"` + row.owner + `"`}
				if row.resume != "" {
					options = append(options, resume(row.resume, 0))
				}
				for range 2 { // the answer is lost
					c.open(1, "ada", options...)
					e.settle()
					m := c.takeMessages()[0]
					got := "<nil>"
					if m.Lost != nil {
						got = m.Lost.Reason
					}
					if got != row.want {
						t.Errorf("%+v (restart %v): got lost %s", row, restart, got)
					}
					if (m.Owner == opened.Owner) != (row.who == "ada") {
						t.Errorf("%+v: got owner %s of ada's %s", row, m.Owner, opened.Owner)
					}
					c.cut()
					e.settle()
					c = e.dialAs(cookie(row.who))
				}
				c.open(1, "ada", purse)
				c.send(`{"t":"close","c":1}`)
				e.settle()
				c.take()
				c.cut()
			}
		}
	}, purses(actor.Options{}))
}
