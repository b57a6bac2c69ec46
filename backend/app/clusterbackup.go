package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/troupe-dev/troupe/backend/cluster"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// backupCluster copies the actors of a cluster to a file, which is a backup as that of a single
// server.
func backupCluster(ctx context.Context, config Config, stdout, stderr io.Writer) (err error) {
	if _, err := os.Lstat(config.Backup); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s exists already", config.Backup)
		}
		return err
	}
	dir, err := copyCluster(ctx, config, filepath.Dir(config.Backup), stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := sqlite.Backup(ctx, dir, config.Backup); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "backed up to "+config.Backup)
	return err
}

// copyCluster copies the actors of a cluster to a store in a new directory inside another one.
func copyCluster(ctx context.Context, config Config, in string, stderr io.Writer) (dir string, err error) {
	o, err := clusterOptions(config, commandLog(stderr))
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(in, ".troupe"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	to, err := sqlite.Open(ctx, dir, sqlite.Options{Logger: o.Logger})
	if err != nil {
		return "", err
	}
	err = cluster.Backup(ctx, o, to)
	return dir, errors.Join(err, to.Close())
}

// commandLog is the log of a command: it has problems only.
func commandLog(stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// restoreCluster fills a new cluster with a backup, or with the data of a single server.
func restoreCluster(ctx context.Context, config Config, stdout, stderr io.Writer) (err error) {
	o, err := clusterOptions(config, commandLog(stderr))
	if err != nil {
		return err
	}
	view, err := sqlite.OpenView(ctx, config.Restore)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	from := &backupFile{View: view, log: o.Logger}
	n, err := cluster.Restore(ctx, o, from)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("restored %d actors of %s; restart the servers of the cluster that run", n, config.Restore)
	if _, err := fmt.Fprintln(stdout, message); err != nil {
		return err
	}
	if from.damaged > 0 {
		return fmt.Errorf("%d actors cannot be read and were left out (troupe check %s names them)", from.damaged, config.Restore)
	}
	return nil
}

// backupFile is a SQLite store that a cluster is filled from.
type backupFile struct {
	*sqlite.View
	log     *slog.Logger
	damaged int
}

var _ jetstream.Source = (*backupFile)(nil)

// Actors implements jetstream.Source. It leaves out what cannot be read.
func (b *backupFile) Actors(ctx context.Context, f func(jetstream.Stored) error) error {
	var failed error
	err := b.View.Actors(ctx, func(a sqlite.Viewed) bool {
		if a.Err != nil {
			b.damaged++
			b.log.Error("an actor cannot be read, and is left out", "actor", a.Snapshot.Actor, "name", a.Snapshot.Name, "error", a.Err)
			return true
		}
		failed = f(jetstream.Stored{Snapshot: a.Snapshot, Items: func(ctx context.Context, q store.ItemRange) (store.ItemPage, error) {
			return b.Items(ctx, a, q)
		}})
		return failed == nil
	})
	return errors.Join(failed, err)
}
