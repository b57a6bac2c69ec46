package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// TestThreeEmbeddedServers starts three servers in this process. A store works with any of
// them, and while one of them is stopped.
func TestThreeEmbeddedServers(t *testing.T) {
	if testing.Short() {
		t.Skip("elections take seconds")
	}
	var servers [3]*Embedded
	var options [3]EmbedOptions
	var peers []string
	for i := range options { // ports that are free
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, l.Addr().String())
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		options[i] = EmbedOptions{Name: fmt.Sprint("n", i), Dir: t.TempDir(), Secret: "s3cret", Voter: true, Logger: slog.New(slog.DiscardHandler)}
	}
	start := func(i int) {
		t.Helper()
		options[i].Listen, options[i].Peers = peers[i], peers
		s, err := Embed(options[i])
		if err != nil {
			t.Fatal(err)
		}
		servers[i] = s
	}
	for i := range servers {
		start(i)
	}
	defer func() {
		for _, s := range servers {
			s.Stop()
		}
	}()
	open := func(i int) {
		t.Helper()
		nc, err := servers[i].Connect()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			s, err := jetstream.Open(ctx, nc, jetstream.Options{Lease: time.Second, Logger: options[i].Logger})
			if err == nil {
				if err := s.Prove(ctx); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if pause(ctx, tryAgain) != nil {
				t.Fatal(err)
			}
		}
	}
	open(0)
	for i, s := range servers {
		if err := s.Check(); err != nil {
			t.Errorf("server %d: %v", i, err)
		}
	}
	servers[0].Stop()
	if err := servers[0].Check(); err == nil {
		t.Error("a stopped server is well")
	}
	open(1)
	start(0)
	open(0)
}

func TestEmbedSaysWhatIsWrong(t *testing.T) {
	if _, err := Embed(EmbedOptions{Name: "n", Dir: t.TempDir(), Listen: "nowhere"}); err == nil {
		t.Error("it listens on an address without a port")
	}
}
