package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/rooms"
	"github.com/troupe-dev/troupe/backend/server"
)

// checkStored tries whether the stored actors can be loaded.
func checkStored(ctx context.Context, config Config, stdout, stderr io.Writer) (err error) {
	if config.Cluster.Servers != "" && config.CheckOf == config.Data {
		dir, err := copyCluster(ctx, config, os.TempDir(), stderr)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		config.CheckOf = dir
	}
	if config.Store == storeMemory {
		return errors.New("the memory store keeps nothing that could be checked")
	}
	o := server.CheckOptions{Data: config.CheckOf, AllItems: config.AllItems}
	bar := &progressBar{to: stderr}
	if isTerminal(stderr) {
		o.Progress = bar.show
	}
	report, err := server.Check(ctx, rooms.Registry, o)
	bar.clear()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, report.String()); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("this binary cannot load all actors")
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// clearLine makes a terminal clear the line, and go to its start.
const clearLine = "\r\x1b[K"

// progressBar draws one line in a terminal, at most ten times a second.
type progressBar struct {
	to    io.Writer
	drawn time.Time
}

func (p *progressBar) show(done, total int) {
	if done < total && time.Since(p.drawn) < 100*time.Millisecond {
		return
	}
	p.drawn = time.Now()
	const width = 30
	full := width * done / total
	fmt.Fprintf(p.to, "%s[%s%s] %d of %d actors", clearLine, strings.Repeat("#", full), strings.Repeat(" ", width-full), done, total)
}

// clear removes the line, if one was drawn.
func (p *progressBar) clear() {
	if !p.drawn.IsZero() {
		fmt.Fprint(p.to, clearLine)
	}
}
