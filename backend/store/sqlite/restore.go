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

// Restore makes a backup the store in a directory, which it makes if it does not
// exist. It checks the backup first, and does not change the file. It fails while a
// process has the store open. The files of the store that it replaces are moved into a
// new directory inside dir, whose name it returns; it is empty if there was no store.
//
// A crash leaves the old store, or the restored one, or one that Open refuses until
// you delete the files that its error names.
func Restore(ctx context.Context, dir, file string) (replaced string, err error) {
	if err := checkBackup(ctx, file); err != nil {
		return "", fmt.Errorf("%s cannot be restored: %w", file, err)
	}
	if err := makeDir(dir); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := lockDir(ctx, dir, Options{LockWait: -1})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlockDir(lock)) }()
	temp, err := os.MkdirTemp(dir, ".troupe-restore-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp) // also removes a partial copy
	copied := filepath.Join(temp, fileName)
	if err := copyInto(ctx, file, copied); err != nil {
		return "", fmt.Errorf("copy %s: %w", file, err)
	}
	if err := syncFile(copied); err != nil {
		return "", err
	}
	if replaced, err = setFilesAside(dir); err != nil {
		return "", fmt.Errorf("set the old store aside: %w", err)
	}
	path := filepath.Join(dir, fileName)
	err = os.Rename(copied, path)
	for _, name := range logNames {
		if removeErr := os.Remove(path + name); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	_ = syncFile(dir) // the names; not every system can do that
	return replaced, err
}

// logNames are the ends of the names of the files that SQLite has beside a file.
var logNames = []string{"-wal", "-shm", "-journal"}

// setFilesAside links the files of a store, if there are any, into a new directory
// inside dir and returns its name.
func setFilesAside(dir string) (string, error) {
	var names []string
	for _, name := range append([]string{""}, logNames...) {
		if _, err := os.Lstat(filepath.Join(dir, fileName+name)); err == nil {
			names = append(names, fileName+name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	aside, err := os.MkdirTemp(dir, "replaced-")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		from, to := filepath.Join(dir, name), filepath.Join(aside, name)
		if os.Link(from, to) == nil {
			continue
		}
		if err := os.Rename(from, to); err != nil { // the system has no links
			return "", err
		}
	}
	_ = syncFile(aside) // the names; not every system can do that
	return aside, nil
}

// checkBackup returns an error if a file is not a complete store that this version can
// read. It changes nothing.
func checkBackup(ctx context.Context, file string) error {
	switch info, err := os.Stat(file); {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() == 0:
		return errors.New("it is not a backup: name a file that troupe backup has written")
	}
	if err := checkComplete(file); err != nil {
		return err
	}
	_, err := inspect(ctx, file, Options{}.withDefaults())
	return err
}

// checkForeignLog returns an error if a file is a backup that no process has opened,
// and has a log beside it: that log belongs to the file that the backup replaced, and
// SQLite would apply it to the backup.
func checkForeignLog(ctx context.Context, path, vfs string) error {
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		return nil // there is no log
	}
	db, err := sql.Open("sqlite", dsn(path, "ro", vfs)+"&immutable=1") // which ignores the log
	if err != nil {
		return err
	}
	defer db.Close() // it only reads
	var backup bool
	if db.QueryRowContext(ctx, "SELECT backup FROM meta").Scan(&backup) != nil || !backup {
		return nil // a file that cannot be read is for inspect to refuse
	}
	return fmt.Errorf("it is a backup, but %[1]s-wal belongs to the file that was there before: delete %[1]s-wal and %[1]s-shm, or run troupe restore instead of copying the backup", path)
}
