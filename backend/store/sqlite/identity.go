package sqlite

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/troupe-dev/troupe/backend/store"
)

// identity is which files of the system SQLite has open, by path. SQLite keeps
// writing to a file that was deleted, moved away or replaced, and nobody would ever
// read those commits.
type identity map[string]fs.FileInfo

// identify returns the identity of a file that is open, with its log and the index of
// that.
func identify(path string) (identity, error) {
	id := identity{}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		id[name] = info
	}
	return id, nil
}

// check returns an error that wraps store.ErrGone if one of the paths no longer leads
// to the open file.
func (id identity) check() error {
	for name := range id {
		if err := id.checkFile(name); err != nil {
			return err
		}
	}
	return nil
}

// checkFile is check for one path.
func (id identity) checkFile(name string) error {
	if now, err := os.Stat(name); err != nil || !os.SameFile(id[name], now) {
		return goneError(name)
	}
	return nil
}

func goneError(name string) error {
	return fmt.Errorf("%w: %s was deleted, moved or replaced while it is open; move it back, or restart the server and restore a backup", store.ErrGone, name)
}
