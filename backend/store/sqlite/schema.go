package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// applicationID marks the file as a Troupe store ("Trpe").
const applicationID = 0x54727065

// migrations[i] changes a file of version i to version i+1. A file's version is its
// user_version; 0 is an empty file.
var migrations = []string{`
CREATE TABLE meta (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	epoch  INTEGER NOT NULL, -- raised by each process that takes over
	owner  TEXT NOT NULL,    -- that process, for people
	backup INTEGER NOT NULL  -- 1: a backup that nobody has opened yet
);
INSERT INTO meta VALUES (1, 0, '', 0);

CREATE TABLE actors (
	num  INTEGER PRIMARY KEY,
	id   TEXT NOT NULL UNIQUE,
	name TEXT NOT NULL,
	key  TEXT NOT NULL, -- JSON
	log  TEXT NOT NULL  -- the identity of its log
);

CREATE TABLE snapshots (
	actor     INTEGER PRIMARY KEY REFERENCES actors,
	rev       INTEGER NOT NULL,
	head      INTEGER NOT NULL, -- number of the newest entry
	next_conn INTEGER NOT NULL,
	connected INTEGER NOT NULL, -- how many connections there are
	sum       INTEGER NOT NULL, -- CRC-32C of state, conns and callers
	state     TEXT NOT NULL,    -- JSON, as the next two
	conns     TEXT NOT NULL,
	callers   TEXT NOT NULL
);
CREATE INDEX snapshots_connected ON snapshots (actor) WHERE connected > 0;

-- The journal: each row is a group of commits, or a part of one. The commits
-- column comes last: reading the others does not read its pages.
CREATE TABLE groups (
	id      INTEGER PRIMARY KEY,
	places  TEXT NOT NULL,    -- for each commit: actor, revision, head, bytes
	sum     INTEGER NOT NULL, -- CRC-32C of commits
	commits TEXT NOT NULL     -- a JSON array
);

CREATE VIEW commits AS SELECT
	g.id AS group_id, a.name AS name, a.key AS key,
	c.value ->> 'r' AS rev,
	strftime('%Y-%m-%d %H:%M:%f', (c.value ->> 't') / 1000.0, 'unixepoch') AS time,
	c.value -> 's' AS state,
	c.value -> 'd' AS delta,
	c.value -> 'e' AS entries,
	c.value -> 'c' AS conns,
	c.value -> 'g' AS gone,
	c.value -> 'k' AS callers,
	c.value -> 'l' AS gone_callers
FROM groups g, json_each(g.commits) c JOIN actors a ON a.num = c.value ->> 'a';

CREATE VIEW states AS SELECT a.name, a.key, s.rev, s.head, s.state, s.conns, s.callers
FROM snapshots s JOIN actors a ON a.num = s.actor;
`, `
-- Rows of the journal that are out of it, but not thrown away: each has commits
-- of an actor that could not be read.
CREATE TABLE aside (
	id      INTEGER PRIMARY KEY,
	places  TEXT NOT NULL,
	sum     INTEGER NOT NULL,
	commits TEXT NOT NULL
);
`, `
-- A commit may have edits of the state, which an older version would not read.
DROP VIEW commits;
CREATE VIEW commits AS SELECT
	g.id AS group_id, a.name AS name, a.key AS key,
	c.value ->> 'r' AS rev,
	strftime('%Y-%m-%d %H:%M:%f', (c.value ->> 't') / 1000.0, 'unixepoch') AS time,
	c.value -> 's' AS state,
	c.value -> 'd' AS delta,
	c.value -> 'u' AS edits,
	c.value -> 'e' AS entries,
	c.value -> 'c' AS conns,
	c.value -> 'g' AS gone,
	c.value -> 'k' AS callers,
	c.value -> 'l' AS gone_callers
FROM groups g, json_each(g.commits) c JOIN actors a ON a.num = c.value ->> 'a';
`, `
-- What outgrows a snapshot, and the times at which actors have to be awake.
ALTER TABLE meta ADD COLUMN clean INTEGER NOT NULL DEFAULT 1; -- 0: a process has it open, or has ended without closing it
ALTER TABLE meta ADD COLUMN last  INTEGER NOT NULL DEFAULT 0; -- numbers of actors and owners up to this one were given

ALTER TABLE actors ADD COLUMN owner INTEGER NOT NULL DEFAULT 0; -- of its rows below; 0: its num
CREATE INDEX actors_name ON actors (name, num);

-- Times are in Unix milliseconds; 0 means none.
ALTER TABLE snapshots ADD COLUMN version INTEGER NOT NULL DEFAULT 0; -- of the definition that wrote the state
ALTER TABLE snapshots ADD COLUMN due     INTEGER NOT NULL DEFAULT 0; -- when the actor has to be awake
ALTER TABLE snapshots ADD COLUMN parked  INTEGER NOT NULL DEFAULT 0; -- how many parked messages there are
ALTER TABLE snapshots ADD COLUMN ended   INTEGER NOT NULL DEFAULT 0; -- when it was destroyed, if it is a tombstone; 1: to be removed
ALTER TABLE snapshots ADD COLUMN changed INTEGER NOT NULL DEFAULT 0; -- its newest commit
ALTER TABLE snapshots ADD COLUMN bytes   INTEGER NOT NULL DEFAULT 0; -- of its state and its items; 0: of state
ALTER TABLE snapshots ADD COLUMN rest    TEXT    NOT NULL DEFAULT ''; -- JSON: the other fields. sum includes it
CREATE INDEX snapshots_due    ON snapshots (due, actor)    WHERE due > 0;
CREATE INDEX snapshots_parked ON snapshots (parked, actor) WHERE parked > 0;
CREATE INDEX snapshots_ended  ON snapshots (ended, actor)  WHERE ended > 0;

CREATE TABLE items (
	owner   INTEGER NOT NULL,
	tbl     INTEGER NOT NULL,
	key     BLOB    NOT NULL,
	version INTEGER NOT NULL,
	value   TEXT    NOT NULL, -- JSON
	PRIMARY KEY (owner, tbl, key)
) WITHOUT ROWID;

-- States that are too large for a row of snapshots, in pieces.
CREATE TABLE pieces (
	owner INTEGER NOT NULL,
	gen   INTEGER NOT NULL, -- of the snapshot that they belong to
	n     INTEGER NOT NULL,
	part  TEXT    NOT NULL,
	PRIMARY KEY (owner, gen, n)
) WITHOUT ROWID;

-- Callers of actors that have many: only those that have changed are written.
CREATE TABLE callers (
	owner  INTEGER NOT NULL,
	id     TEXT    NOT NULL,
	sum    INTEGER NOT NULL, -- CRC-32C of record
	record TEXT    NOT NULL, -- JSON
	PRIMARY KEY (owner, id)
) WITHOUT ROWID;

-- Rows that nobody needs and that are deleted a few at a time: of a table of items, of
-- a whole owner (tbl -1), or pieces of the generations before g (tbl -1-g) or of g (-2^30+g).
CREATE TABLE garbage (
	owner INTEGER NOT NULL,
	tbl   INTEGER NOT NULL,
	PRIMARY KEY (owner, tbl)
) WITHOUT ROWID;

CREATE TABLE secrets (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

-- A view that an old sqlite3 shell cannot parse makes it refuse the whole file: no ORDER
-- BY in an aggregate.
DROP VIEW states;
CREATE VIEW states AS SELECT a.name, a.key, s.rev, s.head,
	CASE WHEN nullif(s.rest, '') ->> 'gen' IS NULL THEN s.state ELSE (
		SELECT group_concat(p.part, '') FROM (
			SELECT part FROM pieces
			WHERE owner = coalesce(s.rest ->> 'owner', a.num) AND gen = s.rest ->> 'gen' ORDER BY n
		) p
	) END AS state,
	s.conns,
	CASE WHEN nullif(s.rest, '') ->> 'callerRows' IS NULL THEN s.callers ELSE (
		SELECT json_group_array(json(c.record)) FROM callers c WHERE c.owner = coalesce(s.rest ->> 'owner', a.num)
	) END AS callers,
	s.version, s.rest
FROM snapshots s JOIN actors a ON a.num = s.actor;
`}

// files are the connections to one open file.
type files struct {
	reader *pool
	writer *sql.DB
	conn   *sql.Conn // of writer, the only one
	opened identity
	maxRow int // bytes

	discarded bool // something was added to garbage

	begin, commit, rollback                        *sql.Stmt
	insertGroup, insertActor, insertSnapshot, trim *sql.Stmt
	insertPlain, setCaller                         *sql.Stmt
	statements                                     []*sql.Stmt // all of them
}

// dsn is a data source name with pragmas that each of its connections runs.
func dsn(path, mode, vfs string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": pragmas}
	if vfs != "" {
		q.Set("vfs", vfs)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

// openFiles opens a file, makes it if it does not exist, migrates it to the newest
// version, and makes the index of its journal. It does not change a file that it
// refuses. again says that this process had the file open until an error.
func openFiles(ctx context.Context, path string, o Options, again bool) (*files, *journal.Index, error) {
	if _, err := os.Stat(path); again && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, goneError(path) // a new one would be empty
	}
	if err := checkComplete(path); err != nil {
		return nil, nil, refused(path, err)
	}
	if err := checkForeignLog(ctx, path, o.vfs); err != nil {
		return nil, nil, refused(path, err)
	}
	// Other users must not read it. SQLite gives its other files the same mode.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Close(); err != nil {
		return nil, nil, err
	}
	_ = syncFile(filepath.Dir(path)) // its name; not every system can do that
	x, err := inspect(ctx, path, o)
	if err != nil {
		return nil, nil, refused(path, err)
	}
	// On Linux this halves the time of a commit. Where fdatasync does not exist it
	// returns an error and changes nothing.
	_, _ = sqlite.Fdatasync(true)
	f := &files{}
	if err := f.open(ctx, path, o, again); err != nil {
		return nil, nil, errors.Join(refused(path, err), f.close())
	}
	if x == nil { // the file was empty or had an older version
		if x, err = scan(ctx, f.reader, o.now()); err != nil {
			return nil, nil, errors.Join(refused(path, err), f.close())
		}
	}
	return f, x, nil
}

// open makes the connections.
func (f *files) open(ctx context.Context, path string, o Options, again bool) (err error) {
	synchronous := "synchronous=FULL" // a transaction is on disk when COMMIT returns
	if o.unsynced {
		synchronous = "synchronous=OFF"
	}
	wait := fmt.Sprint("busy_timeout=", o.busy.Milliseconds())
	f.writer, err = sql.Open("sqlite", dsn(path, "rw", o.vfs, wait))
	if err != nil {
		return err
	}
	f.writer.SetMaxOpenConns(1)
	if f.conn, err = f.writer.Conn(ctx); err != nil {
		return err
	}
	for _, pragma := range []string{ // in this order, which the driver would not keep
		"page_size=8192",          // takes effect in a new file, as the next one
		"auto_vacuum=INCREMENTAL", // free pages can be given back
		"journal_mode=WAL",
		synchronous,
		fmt.Sprint("wal_autocheckpoint=", o.AutoCheckpoint),
		"journal_size_limit=16777216",
		"cache_size=-16000", // KiB
		"secure_delete=ON",  // what is deleted or replaced leaves the file, see doc.go
	} {
		if _, err := f.conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	if err := keepOld(ctx, f.conn, path, o); err != nil {
		return err
	}
	if err := migrate(ctx, f.conn, migrations); err != nil {
		return err
	}
	if err := f.settle(ctx, o, again); err != nil {
		return err
	}
	if err := f.prepare(ctx); err != nil {
		return err
	}
	if f.maxRow, err = sqlite.Limit(f.conn, sqlite3.SQLITE_LIMIT_LENGTH, -1); err != nil {
		return err
	}
	f.reader, err = openPool(ctx, dsn(path, "ro", o.vfs, wait, "cache_size=-4000"))
	return err
}

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

// settle moves SQLite's log into the file, syncs the file, and restarts the log. It
// is not known how much of the log is on disk: a process that was killed may not have
// synced it, and after a failed sync the system's cache differs from the disk.
//
// While another program reads the file, for example a backup, SQLite cannot restart
// the log. That does no harm at a start, because the transaction of takeOver syncs
// the whole log. After a disk error it would: the system believes that it has written
// the log already.
func (f *files) settle(ctx context.Context, o Options, again bool) error {
	wait := o.busy
	if !again {
		wait = 0
	}
	var busy, frames, moved int
	_, err := f.conn.ExecContext(ctx, busyTimeout(wait))
	if err == nil {
		err = f.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	}
	if err == nil {
		_, err = f.conn.ExecContext(ctx, busyTimeout(o.busy))
	}
	if err == nil && busy != 0 && again {
		err = errors.New("another program is reading it: wait for that to end")
	}
	return err
}

// busyTimeout returns the pragma that sets how long a connection waits for a lock.
func busyTimeout(d time.Duration) string {
	return fmt.Sprint("PRAGMA busy_timeout=", d.Milliseconds())
}

// prepare makes the writer's statements.
func (f *files) prepare(ctx context.Context) error {
	for _, p := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&f.begin, "BEGIN IMMEDIATE"},
		{&f.commit, "COMMIT"},
		{&f.rollback, "ROLLBACK"},
		// The epoch fences: nothing is inserted once another process has raised it.
		// The casts spare a copy of what is bound.
		{&f.insertGroup, "INSERT INTO groups (id, places, sum, commits) SELECT ?, CAST(? AS TEXT), ?, CAST(? AS TEXT) FROM meta WHERE epoch = ?"},
		{&f.insertActor, "INSERT INTO actors (num, id, name, key, log) VALUES (?, ?, ?, ?, ?)"},
		{&f.insertSnapshot, `INSERT OR REPLACE INTO snapshots
			(actor, rev, head, next_conn, connected, sum, state, conns, callers, version, due, parked, ended, changed, bytes, rest)
			VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, CAST(? AS TEXT))`},
		{&f.insertPlain, `INSERT OR REPLACE INTO snapshots (actor, rev, head, next_conn, connected, sum, state, conns, callers, changed)
			VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?)`},
		{&f.setCaller, "INSERT OR REPLACE INTO callers (owner, id, sum, record) VALUES (?, ?, ?, CAST(? AS TEXT))"},
		{&f.trim, "DELETE FROM groups WHERE id <= ?"},
	} {
		stmt, err := f.conn.PrepareContext(ctx, p.sql)
		if err != nil {
			return err
		}
		*p.to = stmt
		f.statements = append(f.statements, stmt)
	}
	return nil
}

// close closes what is open. The last connection that closes moves SQLite's log
// into the file; one with an open statement does not count as closed.
func (f *files) close() error {
	var errs []error
	for _, stmt := range f.statements {
		_ = stmt.Close() // returns the error of its last use again
	}
	if f.reader != nil {
		errs = append(errs, f.reader.close())
	}
	if f.conn != nil {
		errs = append(errs, f.conn.Close())
	}
	if f.writer != nil {
		errs = append(errs, f.writer.Close())
	}
	return errors.Join(errs...)
}

// inspect returns an error for a file that must not be written. For a file of the
// newest version it returns the index. It changes nothing.
func inspect(ctx context.Context, path string, o Options) (*journal.Index, error) {
	db, err := sql.Open("sqlite", dsn(path, "ro", o.vfs, "busy_timeout=5000"))
	if err != nil {
		return nil, err
	}
	defer db.Close() // it only reads
	db.SetMaxOpenConns(1)
	var tables, id, version int
	row := db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM sqlite_schema), (SELECT * FROM pragma_application_id), (SELECT * FROM pragma_user_version)")
	if err := row.Scan(&tables, &id, &version); err != nil {
		return nil, err
	}
	switch {
	case tables == 0:
		return nil, nil
	case id != applicationID:
		return nil, errors.New("this is a database, but not one of Troupe")
	case version > len(migrations):
		return nil, fmt.Errorf("a newer version of Troupe wrote it (its format is %d, this one knows up to %d)", version, len(migrations))
	case version < len(migrations):
		return nil, nil
	}
	return scan(ctx, db, o.now())
}

// refused wraps the error of a file that cannot be opened.
func refused(path string, err error) error {
	if damaged(err) {
		return fmt.Errorf("%s is damaged and was left as it is: restore a backup, or choose another data directory: %w", path, err)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// keepOld copies a file that is about to be migrated, so that you can go back to the
// version of Troupe that wrote it: that one refuses the new format. Without room for the
// copy the file is migrated without it.
func keepOld(ctx context.Context, conn *sql.Conn, path string, o Options) error {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version == 0 || version >= len(migrations) {
		return nil
	}
	kept := fmt.Sprintf("%s.format%d", path, version)
	temp := kept + ".part"
	remove := func() error {
		if err := os.Remove(temp); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := remove(); err != nil { // of a process that was killed
		return err
	}
	err := os.WriteFile(temp, nil, 0o600) // others must not read it while it is written either
	if err == nil {
		err = copyInto(ctx, path, temp)
	}
	if err == nil {
		err = syncFile(temp)
	}
	if err == nil {
		err = os.Rename(temp, kept)
	}
	if damaged(err) {
		return errors.Join(err, remove())
	} else if err != nil {
		err = errors.Join(err, remove())
		o.Logger.Warn("the store is changed to a new format without keeping a copy in the old one, so that an older version of Troupe cannot open it again",
			"file", path, "from", version, "to", len(migrations), "error", err)
		return nil
	}
	_ = syncFile(filepath.Dir(path)) // its name; not every system can do that
	o.Logger.Info("the store is changed to a new format; to go back to an older version of Troupe, restore the copy with that version (troupe restore) and then delete it",
		"file", path, "from", version, "to", len(migrations), "copy", kept)
	return nil
}

// migrate changes a file to the version len(steps).
func migrate(ctx context.Context, conn *sql.Conn, steps []string) error {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		_, err := conn.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", steps[version], applicationID, version+1))
		if err != nil {
			_, _ = conn.ExecContext(ctx, "ROLLBACK") // it may have been rolled back already
			return fmt.Errorf("migrate it from version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}

// takeOver makes this process the owner of the file and returns the new epoch; was is
// the epoch in which it last owned the file, 0 if it did not. The first process that
// opens a backup gives all logs new identities: positions that clients have seen since
// the backup was made do not exist in it. clean reports whether the process before has
// closed the file; a backup counts as closed.
func (f *files) takeOver(ctx context.Context, was int64, o Options) (epoch int64, clean bool, err error) {
	var backup bool
	err = f.inTransaction(ctx, func() error {
		if err := f.conn.QueryRowContext(ctx, "SELECT epoch, backup, clean FROM meta").Scan(&epoch, &backup, &clean); err != nil {
			return err
		}
		if was != 0 && was != epoch {
			return errFenced
		}
		epoch++
		if backup { // a condition in the UPDATE would scan all actors at each start
			if _, err := f.conn.ExecContext(ctx, "UPDATE actors SET log = lower(hex(randomblob(16)))"); err != nil {
				return err
			}
		}
		_, err := f.conn.ExecContext(ctx, "UPDATE meta SET epoch = ?, owner = ?, backup = 0, clean = 0", epoch, thisProcess())
		return err
	})
	if err == nil && backup { // see checkForeignLog: the file itself must say that it is open
		err = f.settle(ctx, o, true)
	}
	return epoch, clean || backup, err
}
