package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// View reads a store as it was when the View was opened, also while a process has the store
// open, and changes nothing. Until it is closed, SQLite cannot restart its log, which grows by
// everything that is written meanwhile. Only one goroutine may use it.
type View struct {
	path  string
	alone bool // no process had the store open
	pool  *pool
	tx    readTx
	index *journal.Index
}

// Viewed is a stored actor in a View. If it cannot be read, Err says why, and of Snapshot only
// the address is known.
type Viewed struct {
	Snapshot *store.Snapshot
	Err      error

	resident *journal.Resident
}

// OpenView opens the store in a directory, or a backup, to read it.
func OpenView(ctx context.Context, path string) (*View, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, fileName)
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no store at %s: name the server's data directory or a backup", path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file: name the server's data directory or a backup", path)
	}
	v := &View{path: path}
	if err := v.open(ctx); err != nil {
		return nil, errors.Join(refused(path, err), v.Close())
	}
	return v, nil
}

func (v *View) open(ctx context.Context) error {
	if err := errors.Join(checkComplete(v.path), checkForeignLog(ctx, v.path, "")); err != nil {
		return err
	}
	// SQLite would make a log to read a file, unless it is told that nobody writes it.
	from := dsn(v.path, "ro", "", "busy_timeout=5000")
	if v.alone = !v.hasLog(); v.alone {
		from += "&immutable=1"
	}
	if err := checkNewest(ctx, from); err != nil {
		return err
	}
	var err error
	if v.pool, err = openPool(ctx, from); err != nil {
		return err
	}
	if v.tx, err = v.pool.begin(ctx); err != nil {
		return err
	}
	v.index, err = scan(ctx, v.tx, Options{}.withDefaults().now())
	return err
}

func (v *View) hasLog() bool {
	_, err := os.Stat(v.path + "-wal")
	return err == nil
}

// checkNewest returns an error if a file is not a store in the newest format.
func checkNewest(ctx context.Context, from string) error {
	db, err := sql.Open("sqlite", from)
	if err != nil {
		return err
	}
	defer db.Close() // it only reads
	version, err := readFormat(ctx, db)
	if err == nil && version < len(migrations) {
		err = fmt.Errorf("it has format %d of an older version of Troupe, this one reads %d: restore a backup of it into another directory, start the server there once, and name that directory", version, len(migrations))
	}
	return err
}

// Count returns how many actors there are.
func (v *View) Count(ctx context.Context) (n int, err error) {
	err = v.tx.QueryRowContext(ctx, "SELECT count(*) FROM actors").Scan(&n)
	return n, err
}

// Actors calls f with all actors until f returns false, in the order in which they were made.
func (v *View) Actors(ctx context.Context, f func(Viewed) bool) error {
	for after := int64(0); ; {
		page, last, err := v.page(ctx, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, snapshot := range page {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !f(v.read(ctx, snapshot)) {
				return nil
			}
		}
		after = last
	}
}

// page returns addresses of actors behind a number, and the last one's number.
func (v *View) page(ctx context.Context, after int64) (page []*store.Snapshot, last int64, err error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT num, id, name FROM actors WHERE num > ? ORDER BY num LIMIT 1000", after)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close() // rows.Err has its error
	for rows.Next() {
		s := &store.Snapshot{}
		if err := rows.Scan(&last, &s.Actor, &s.Name); err != nil {
			return nil, 0, err
		}
		page = append(page, s)
	}
	return page, last, rows.Err()
}

func (v *View) read(ctx context.Context, address *store.Snapshot) Viewed {
	r, err := readSnapshot(ctx, v.tx, address.Actor)
	if err == nil {
		if in := v.index.ByNum[r.Num]; in != nil {
			err = replay(ctx, v.tx, r, in.Locations, in.First())
		} else if r.Rev == 0 {
			err = errNothing
		}
	}
	if err != nil {
		return Viewed{Snapshot: address, Err: err}
	}
	return Viewed{Snapshot: r.Record.Snapshot(address.Actor), resident: r}
}

// Items returns the items of one of an actor's tables, as store.Store.Items does.
func (v *View) Items(ctx context.Context, a Viewed, q store.ItemRange) (store.ItemPage, error) {
	return itemPage(ctx, v.tx, a.resident.Record.Merge(q), a.resident.Stored.Owner, q)
}

// Secrets returns the secrets by name.
func (v *View) Secrets(ctx context.Context) (map[string][]byte, error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT name, value FROM secrets")
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err has its error
	secrets := map[string][]byte{}
	for rows.Next() {
		var name string
		var value []byte
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		secrets[name] = value
	}
	return secrets, rows.Err()
}

// Close releases the file. It returns an error if what was read may be wrong: a server was
// started while the View assumed that nobody writes.
func (v *View) Close() error {
	if v.tx.Tx != nil {
		_ = v.tx.Rollback() // it only reads
	}
	if v.pool == nil {
		return nil
	}
	err := v.pool.close()
	if v.alone && v.hasLog() {
		err = errors.Join(err, fmt.Errorf("a server has opened %s meanwhile: read it again", v.path))
	}
	return err
}
