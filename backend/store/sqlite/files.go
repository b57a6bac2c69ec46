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

// files are the connections to one open file.
type files struct {
	reader *pool
	writer *sql.DB
	conn   *sql.Conn // of writer, the only one
	opened identity
	maxRow int // bytes

	garbage garbage

	begin, commit, rollback                        *sql.Stmt
	insertGroup, insertActor, insertSnapshot, trim *sql.Stmt
	insertPlain, setCaller                         *sql.Stmt
	statements                                     []*sql.Stmt // all of them
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
	f.garbage = garbage{conn: f.conn, pending: true} // it is not known what was committed last
	for _, pragma := range []string{                 // in this order, which the driver would not keep
		"page_size=8192",          // takes effect in a new file, as the next one
		"auto_vacuum=INCREMENTAL", // free pages can be given back
		"journal_mode=WAL",
		synchronous,
		fmt.Sprint("wal_autocheckpoint=", o.AutoCheckpoint),
		"journal_size_limit=16777216",
		"cache_size=-16000",                             // KiB
		fmt.Sprint("secure_delete=", !o.NoSecureDelete), // what is deleted or replaced leaves the file, see doc.go
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

// dsn is a data source name with pragmas that each of its connections runs.
func dsn(path, mode, vfs string, pragmas ...string) string {
	q := url.Values{"mode": {mode}, "_pragma": pragmas}
	if vfs != "" {
		q.Set("vfs", vfs)
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
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
	switch version, err := readFormat(ctx, db); {
	case err != nil:
		return nil, err
	case version < len(migrations):
		return nil, nil
	}
	return scan(ctx, db, o.now())
}

// readFormat returns the format of a file, 0 of one that is empty. It refuses files that are
// not stores, and those of newer versions.
func readFormat(ctx context.Context, db querier) (version int, err error) {
	var tables, id int
	row := db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM sqlite_schema), (SELECT * FROM pragma_application_id), (SELECT * FROM pragma_user_version)")
	if err := row.Scan(&tables, &id, &version); err != nil {
		return 0, err
	}
	switch {
	case tables == 0:
		return 0, nil
	case id != applicationID:
		return 0, errors.New("this is a database, but not one of Troupe")
	case version > len(migrations):
		return 0, fmt.Errorf("a newer version of Troupe wrote it (its format is %d, this one knows up to %d)", version, len(migrations))
	}
	return version, nil
}

// refused wraps the error of a file that cannot be opened.
func refused(path string, err error) error {
	if damaged(err) {
		return fmt.Errorf("%s is damaged and was left as it is: restore a backup, or choose another data directory: %w", path, err)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// commitError is an error of the COMMIT itself: a part of the transaction may
// already be on disk.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

// inTransaction runs f as one transaction of the writer.
func (f *files) inTransaction(ctx context.Context, do func() error) error {
	if _, err := f.begin.ExecContext(ctx); err != nil {
		return err
	}
	err := do()
	if err == nil {
		if _, err = f.commit.ExecContext(ctx); err == nil {
			return nil
		}
		err = commitError{err}
	}
	_, _ = f.rollback.ExecContext(ctx) // fails after most errors: SQLite has rolled back itself
	return err
}

// inFencedTransaction is inTransaction unless another process has taken over.
func (f *files) inFencedTransaction(ctx context.Context, epoch int64, do func() error) error {
	return f.inTransaction(ctx, func() error {
		if err := f.fence(ctx, epoch); err != nil {
			return err
		}
		return do()
	})
}

// fence fails a transaction if another process has taken over. It writes, so that the
// transaction does if nothing else in it writes.
func (f *files) fence(ctx context.Context, epoch int64) error {
	result, err := f.conn.ExecContext(ctx, "UPDATE meta SET epoch = epoch WHERE epoch = ?", epoch)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errFenced, err)
	}
	return nil
}

// insertRow writes a row of the journal, unless another process has taken over.
func (f *files) insertRow(ctx context.Context, w *journal.EncodedRow, epoch int64) error {
	result, err := f.insertGroup.ExecContext(ctx, w.ID, w.Index, int64(journal.Checksum(w.Commits)), w.Commits, epoch)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errFenced, err)
	}
	return nil
}
