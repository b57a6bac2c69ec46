package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// pool are the connections that read.
type pool struct {
	*sql.DB
	snapshot *sql.Stmt // see readSnapshot
}

func openPool(ctx context.Context, dsn string) (*pool, error) {
	const conns = 4
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	snapshot, err := db.PrepareContext(ctx, selectSnapshot)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &pool{db, snapshot}, nil
}

func (p *pool) close() error { return errors.Join(p.snapshot.Close(), p.Close()) }

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
