package sqlite

import (
	"context"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// setAside copies the journal's rows of an actor that cannot be read, so that you can
// rescue its data, and makes its snapshot invalid, so that it is not loaded without
// those commits.
func (f *files) setAside(ctx context.Context, r *journal.Resident) error {
	for _, p := range r.Locations {
		var locations, commits []byte
		var sum any // it may be damaged
		err := f.reader.QueryRowContext(ctx, "SELECT CAST(places AS BLOB), sum, CAST(commits AS BLOB) FROM groups WHERE id = ?", p.Row).Scan(&locations, &sum, &commits)
		if err == nil {
			_, err = f.conn.ExecContext(ctx, "INSERT OR IGNORE INTO aside (id, places, sum, commits) VALUES (?, CAST(? AS TEXT), ?, CAST(? AS TEXT))", p.Row, locations, sum, commits)
		}
		if err != nil {
			return err
		}
	}
	_, err := f.conn.ExecContext(ctx, "UPDATE snapshots SET sum = -1 WHERE actor = ?", r.Num) // no checksum is negative
	return err
}
