package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// backup copies the store to a file.
func backup(ctx context.Context, config Config, stdout, stderr io.Writer) error {
	if config.Cluster.Servers != "" {
		return backupCluster(ctx, config, stdout, stderr)
	}
	if config.Store == storeMemory {
		return errors.New("the memory store keeps nothing that could be backed up")
	}
	if err := sqlite.Backup(ctx, config.Data, config.Backup); err != nil {
		return err
	}
	message := "backed up to " + config.Backup
	has, err := sqlite.HasSecret(ctx, config.Backup, keySecret)
	if err != nil {
		return err
	}
	if key := keyFile(config); config.SessionKey == "" && !has && exists(key) {
		message += "; copy " + key + ", too: it is not in the backup, and without it a restore ends all sessions"
	}
	_, err = fmt.Fprintln(stdout, message)
	return err
}

// restore replaces the store by a backup.
func restore(ctx context.Context, config Config, stdout, stderr io.Writer) error {
	if config.Cluster.Servers != "" {
		return restoreCluster(ctx, config, stdout, stderr)
	}
	if config.Store == storeMemory {
		return errors.New("the memory store keeps nothing: restore into the sqlite store")
	}
	replaced, err := sqlite.Restore(ctx, config.Data, config.Restore)
	if err != nil {
		return err
	}
	has, err := sqlite.HasSecret(ctx, config.Restore, keySecret)
	if err != nil {
		return err
	}
	message := "restored " + config.Restore + " into " + config.Data
	if replaced != "" {
		message += "; the store that it replaces is in " + replaced
	}
	if key := keyFile(config); config.SessionKey == "" && !has && !exists(key) {
		message += "; copy the session.key of that time to " + key + " before you start the server, or all sessions end"
	}
	_, err = fmt.Fprintln(stdout, message)
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
