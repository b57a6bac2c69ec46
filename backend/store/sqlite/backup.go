package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a copy of the store in a directory to a file, whether a process
// has the store open or not. The copy is of one moment, and whole before it has
// its name. A file of that name is an error, not replaced.
//
// While it reads, SQLite's log cannot begin anew: it grows by what is written
// meanwhile. Cancel ctx to bound that; nothing is left of the copy then. Where the
// file is to be is better a fast disk of the same machine than a slow network.
//
// To restore it, put it into an empty directory as troupe.db and open that: the
// logs get new identities, so that clients which have seen more than the copy has
// are told that they lost something.
func Backup(ctx context.Context, dir, file string) error {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no store to back up: %w", err)
	}
	switch _, err := os.Lstat(file); {
	case err == nil:
		return fmt.Errorf("%s exists already: choose another name", file)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(file), ".troupe-backup-")
	var failed *fs.PathError
	if errors.As(err, &failed) { // the name is nobody's concern
		err = failed.Err
	}
	if err != nil {
		return fmt.Errorf("write the backup %s: %w", file, err)
	}
	defer os.RemoveAll(temp) // what is left of a failure
	copied := filepath.Join(temp, fileName)
	if err := copyInto(ctx, path, copied); err != nil {
		return fmt.Errorf("back up %s: %w", path, err)
	}
	if err := syncFile(copied); err != nil {
		return err
	}
	if err := os.Rename(copied, file); err != nil {
		return err
	}
	_ = syncFile(filepath.Dir(file)) // its name; not every system can do that
	return nil
}

// copyInto copies a store and marks the copy as a backup.
func copyInto(ctx context.Context, from, to string) (err error) {
	db, err := sql.Open("sqlite", dsn(from, "ro", "", "busy_timeout=5000"))
	if err != nil {
		return err
	}
	defer db.Close() // it only reads
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return err
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return err
	}
	made, err := sql.Open("sqlite", dsn(to, "rw", ""))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	_, err = made.ExecContext(ctx, "UPDATE meta SET backup = 1, owner = ''")
	return err
}

// syncFile makes a file durable, or the names in a directory.
func syncFile(name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
