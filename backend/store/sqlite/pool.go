package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/troupe-dev/troupe/backend/store"
)

// pool are the connections that read.
type pool struct {
	*sql.DB
	snapshot *sql.Stmt    // see readSnapshot
	items    [4]*sql.Stmt // the queries of itemsQuery
}

func openPool(ctx context.Context, dsn string) (*pool, error) {
	const conns = 4
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	p := &pool{DB: db}
	prepare := func(stmt **sql.Stmt, query string) {
		if err == nil {
			*stmt, err = db.PrepareContext(ctx, query)
		}
	}
	prepare(&p.snapshot, selectSnapshot)
	for i := range p.items {
		prepare(&p.items[i], itemsQuery(i))
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pool) close() error {
	var errs []error
	for _, stmt := range append(p.items[:], p.snapshot) {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(append(errs, p.Close())...)
}

func (p *pool) snapshotOf(ctx context.Context, actor string) *sql.Row {
	return p.snapshot.QueryRowContext(ctx, actor)
}

// readTx is a transaction that only reads.
type readTx struct {
	*sql.Tx
	pool *pool
}

func (p *pool) begin(ctx context.Context) (readTx, error) {
	tx, err := p.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	return readTx{tx, p}, err
}

func (t readTx) snapshotOf(ctx context.Context, actor string) *sql.Row {
	return t.StmtContext(ctx, t.pool.snapshot).QueryRowContext(ctx, actor)
}

// itemReader has the queries of itemsQuery prepared.
type itemReader interface {
	readItems(ctx context.Context, owner int64, q store.ItemRange) (*sql.Rows, error)
}

func (p *pool) readItems(ctx context.Context, owner int64, q store.ItemRange) (*sql.Rows, error) {
	i, args := itemsArgs(owner, q)
	return p.items[i].QueryContext(ctx, args...)
}

func (t readTx) readItems(ctx context.Context, owner int64, q store.ItemRange) (*sql.Rows, error) {
	i, args := itemsArgs(owner, q)
	return t.StmtContext(ctx, t.pool.items[i]).QueryContext(ctx, args...)
}

// The bits of the number of a query of items.
const (
	bounded = 1 << iota // the range has an end
	backward
)

// itemsQuery returns the query of the items of a range.
func itemsQuery(i int) string {
	query := "SELECT key, version, CAST(value AS BLOB) FROM items WHERE owner = ? AND tbl = ? AND key >= ?"
	if i&bounded != 0 {
		query += " AND key < ?"
	}
	query += " ORDER BY key"
	if i&backward != 0 {
		query += " DESC"
	}
	return query
}

// itemsArgs returns the number of the query for a range, and its arguments.
func itemsArgs(owner int64, q store.ItemRange) (i int, args []any) {
	from := q.From
	if from == nil {
		from = []byte{} // nil would be NULL
	}
	args = []any{owner, q.Table, from}
	if q.To != nil {
		i, args = i|bounded, append(args, q.To)
	}
	if q.Backward {
		i |= backward
	}
	return i, args
}

// querier is a connection, a transaction or a pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// snapshotReader is a querier that has selectSnapshot prepared.
type snapshotReader interface {
	querier
	snapshotOf(ctx context.Context, actor string) *sql.Row
}

// selectSnapshot is the query of readSnapshot.
const selectSnapshot = `SELECT a.num, a.name, a.key, a.log, CASE a.owner WHEN 0 THEN a.num ELSE a.owner END,
		s.rev, s.head, s.next_conn, s.sum, CAST(s.state AS BLOB), CAST(s.conns AS BLOB), CAST(s.callers AS BLOB),
		s.version, s.due, s.changed, CAST(s.rest AS BLOB)
	FROM actors a LEFT JOIN snapshots s ON s.actor = a.num WHERE a.id = ?`
