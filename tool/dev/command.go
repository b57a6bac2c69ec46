package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-dev/troupe/tool/internal/child"
)

// command runs a program in dir and returns its output, trimmed. When ctx ends, the
// program and everything that it started are interrupted.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the release is built, so that both share the build cache
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	child.OwnGroup(cmd, syscall.SIGTERM)
	cmd.Cancel = func() error { return child.Interrupt(cmd) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	return strings.TrimSpace(output.String()), err
}
