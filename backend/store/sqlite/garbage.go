package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// What is in the column tbl of garbage, besides numbers of tables.
const allRows = -1

// piecesBefore is the tbl for the pieces of generations before one.
func piecesBefore(gen int64) int { return int(-1 - gen) }

// piecesOf is the tbl for the pieces of one generation. They are garbage while the save that
// writes them has not ended, so that they do not stay if it never does: garbage is deleted
// only when nothing is being saved.
func piecesOf(gen int64) int { return int(unfinished + gen) }

// leftCallers is the tbl for rows of callers of an actor whose snapshot has none, for the same
// reason.
const leftCallers = unfinished

// unfinished is below all other values of tbl.
const unfinished = -1 << 30

// garbage are the rows of a file that nobody needs. It belongs to the writer.
type garbage struct {
	conn    *sql.Conn
	pending bool // there may be some
}

// add notes rows that are to be deleted.
func (g *garbage) add(ctx context.Context, owner int64, tbl int) error {
	g.pending = true
	_, err := g.conn.ExecContext(ctx, "INSERT OR IGNORE INTO garbage (owner, tbl) VALUES (?, ?)", owner, tbl)
	return err
}

// drop removes a note of add: the rows are deleted, or needed after all.
func (g *garbage) drop(ctx context.Context, owner int64, tbl int) error {
	_, err := g.conn.ExecContext(ctx, "DELETE FROM garbage WHERE owner = ? AND tbl = ?", owner, tbl)
	return err
}

// source is a table in which an owner has rows.
type source struct {
	table, key, size string
	where            string // of garbage, with ?2 for its tbl
}

var (
	itemRows   = source{"items", "tbl, key", "length(key) + octet_length(value)", ""}
	tableRows  = source{"items", "tbl, key", "length(key) + octet_length(value)", "AND tbl = ?2"}
	pieceRows  = source{"pieces", "gen, n", "octet_length(part)", ""}
	oldPieces  = source{"pieces", "gen, n", "octet_length(part)", "AND gen < -1 - ?2"}
	leftPieces = source{"pieces", "gen, n", "octet_length(part)", fmt.Sprint("AND gen = ?2 - ", unfinished)}
	callerRows = source{"callers", "id, owner", "octet_length(record)", ""}
)

// deleteSlice deletes some of the rows, inside a transaction.
func (g *garbage) deleteSlice(ctx context.Context) (more bool, err error) {
	var owner int64
	var tbl int
	err = g.conn.QueryRowContext(ctx, "SELECT owner, tbl FROM garbage LIMIT 1").Scan(&owner, &tbl)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	from := []source{oldPieces}
	switch {
	case tbl == allRows:
		from = []source{itemRows, pieceRows, callerRows}
	case tbl >= 0:
		from = []source{tableRows}
	case tbl == leftCallers:
		from = []source{callerRows}
	case tbl < unfinished/2:
		from = []source{leftPieces}
	}
	budget := int64(sliceBytes)
	for _, source := range from {
		if budget, err = g.deleteRows(ctx, source, owner, tbl, budget); err != nil {
			return false, err
		}
		if budget <= 0 {
			return true, nil
		}
	}
	return true, g.drop(ctx, owner, tbl)
}

// deleteRows deletes the first rows of a source, until the budget is used up. It returns
// what is left of it.
func (g *garbage) deleteRows(ctx context.Context, source source, owner int64, tbl int, budget int64) (int64, error) {
	const rowsAtOnce, rowBytes = 1024, 64
	for budget > 0 {
		rows, err := g.conn.QueryContext(ctx, fmt.Sprintf("SELECT %s, %s FROM %s WHERE owner = ?1 %s ORDER BY %s LIMIT %d",
			source.key, source.size, source.table, source.where, source.key, rowsAtOnce), owner, tbl)
		if err != nil {
			return 0, err
		}
		n := 0
		var last [2]any // the key of the last row to delete
		for budget > 0 && rows.Next() {
			var size int64
			if err := rows.Scan(&last[0], &last[1], &size); err != nil {
				return 0, errors.Join(err, rows.Close())
			}
			budget -= size + rowBytes
			n++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return 0, err
		}
		if n == 0 {
			return budget, nil
		}
		for i := range last {
			if key, isBytes := last[i].([]byte); isBytes {
				last[i] = nonNil(key) // the driver's empty key is nil, which would be NULL
			}
		}
		_, err = g.conn.ExecContext(ctx, fmt.Sprintf("DELETE FROM %s WHERE owner = ?1 %s AND (%s) <= (?3, ?4)",
			source.table, source.where, source.key), owner, tbl, last[0], last[1])
		if err != nil {
			return 0, err
		}
	}
	return budget, nil
}
