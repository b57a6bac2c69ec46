package sqlite_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

// The views show states and callers, also those that have rows of their own. The shell of
// Debian 12, SQLite 3.40, cannot parse an aggregate with ORDER BY: it would refuse the file.
func TestViews_states(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	large := commitOf("bob", 1)
	large.State = []byte(`{"s":"` + strings.Repeat("0123456789", 300<<10) + `"}`)
	for i := range 200 {
		large.Callers = append(large.Callers, store.Caller{ID: fmt.Sprint(i), Used: startTime})
	}
	small := commitOf("ada", 1)
	commit(t, s, small, large)
	closeStore(t, s)
	db := raw(t, dir)
	for _, c := range []*store.Commit{small, large} {
		var state []byte
		var callers int
		err := db.QueryRow("SELECT CAST(state AS BLOB), json_array_length(callers) FROM states WHERE key = json_array(?)", c.Key[0]).Scan(&state, &callers)
		if err != nil || string(state) != string(c.State) || callers != len(c.Callers) {
			t.Errorf("%s: got %d bytes, %d callers, %v; want %d, %d", c.Actor, len(state), callers, err, len(c.State), len(c.Callers))
		}
	}
	var commits int
	if err := db.QueryRow("SELECT count(rev) FROM commits").Scan(&commits); err != nil || commits != 2 {
		t.Errorf("got %d commits, %v; want 2", commits, err)
	}
	rows, err := db.Query("SELECT sql FROM sqlite_schema WHERE type = 'view'")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var sql string
		must(t, rows.Scan(&sql))
		if regexp.MustCompile(`group_(concat|array)\([^()]*ORDER BY`).MatchString(sql) {
			t.Errorf("SQLite 3.40 cannot parse %s", sql)
		}
	}
	must(t, rows.Err())
}
