package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profile is a CPU profile of a server, taken while it is measured.
type profile struct {
	addr, file string
	length     time.Duration
	done       chan error
}

func (s *Server) startProfile() {
	p := s.profile
	if p == nil {
		return
	}
	p.done = make(chan error, 1)
	go func() { p.done <- p.take() }()
}

// endProfile waits until the profile that startProfile began is in its file.
func (s *Server) endProfile() error {
	if s.profile == nil {
		return nil
	}
	return <-s.profile.done
}

func (p *profile) take() error {
	res, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.addr, max(1, int(p.length.Seconds()))))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("profile of %s: %s: %.100s", p.addr, res.Status, b)
	}
	if err := os.MkdirAll(filepath.Dir(p.file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(p.file, b, 0o644)
}
