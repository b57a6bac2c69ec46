//go:build unix

package sqlite_test

import (
	"testing"

	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// Opening a file reads the same amount however many actors sleep in it.
func TestOpen_readsNoMoreOfMoreActors(t *testing.T) {
	d := newDisk(t)
	reads := func(actors int) int {
		dir := t.TempDir()
		closeStore(t, open(t, dir, quiet))
		db := raw(t, dir)
		const numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) "
		exec(t, db, numbers+`INSERT INTO actors (num, id, name, key, log) SELECT n, 'an actor with an id ' || n, 'room', '["' || n || '"]', hex(randomblob(16)) FROM n`, actors)
		exec(t, db, numbers+"INSERT INTO snapshots (actor, rev, head, next_conn, connected, sum, state, conns, callers) SELECT n, 1, 1, 1, 0, 0, '{}', '[]', '[]' FROM n", actors)
		exec(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		var s *sqlite.Store
		n := d.readsOf(func() { s = open(t, dir, quiet.WithVFS(d.name).WithClock(newClock().now)) })
		closeStore(t, s)
		return n
	}
	few, many := reads(100), reads(5_000)
	if many > few+20 { // their trees have a level more
		t.Errorf("got %d reads with 100 actors and %d with 5,000; want about as many", few, many)
	}
}
