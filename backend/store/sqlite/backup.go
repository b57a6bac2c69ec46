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

// Backup writes a copy of the store in a directory to a file, whether or not a
// process has the store open. The copy is a consistent snapshot, and the file appears
// under its name only when it is complete. If the file exists, Backup returns an error.
//
// While Backup reads, SQLite cannot restart its log, which grows by everything
// written meanwhile. Cancel ctx to bound that; Backup then removes the partial copy.
// Prefer a fast local disk to a slow network for the file.
//
// Restore makes the backup the store of a directory. When it is opened, its logs get
// new identities, so that clients that have seen more than the backup has learn that
// they lost events.
func Backup(ctx context.Context, dir, file string) error {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no store in the directory %s; name the server's data directory, as in troupe -data DIRECTORY backup FILE: %w", dir, err)
	}
	switch _, err := os.Lstat(file); {
	case err == nil:
		return fmt.Errorf("%s exists already: choose another name", file)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(file), ".troupe-backup-")
	var failed *fs.PathError
	if errors.As(err, &failed) { // its path is that of a temporary directory
		err = failed.Err
	}
	if err != nil {
		return fmt.Errorf("write the backup %s: %w", file, err)
	}
	defer os.RemoveAll(temp) // also removes a partial copy
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
