package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/internal/loopback"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// freeAddress is where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := loopback.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// TestThreeEmbeddedServers starts three servers in this process. A store works with any of
// them, and while one of them is stopped.
func TestThreeEmbeddedServers(t *testing.T) {
	if testing.Short() {
		t.Skip("elections take seconds")
	}
	var servers [3]*Embedded
	var options [3]EmbedOptions
	var peers []string
	for range options {
		peers = append(peers, freeAddress(t))
	}
	secure := mutualTLS(t, peers...)
	for i := range options {
		options[i] = EmbedOptions{Name: fmt.Sprint("n", i), Dir: t.TempDir(), Secret: "s3cret", TLS: secure, Voter: true, Logger: slog.New(slog.DiscardHandler)}
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
	visitEmbedded(t, Options{Node: "n0", Logger: options[0].Logger, Embed: &EmbedOptions{Peers: peers, Secret: "s3cret", TLS: secure}})
	servers[0].Stop()
	if err := servers[0].Check(); err == nil {
		t.Error("a stopped server is well")
	}
	open(1)
	start(0)
	open(0)
}

// visitEmbedded fills the streams, and makes a backup of them, by servers that join for that.
func visitEmbedded(t *testing.T, o Options) {
	t.Helper()
	if n, err := Restore(t.Context(), o, oneActor{}); n != 1 || err != nil {
		t.Errorf("%d actors were restored, error %v", n, err)
	}
	to, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Logger: o.Logger})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close() // it is thrown away
	if err := Backup(t.Context(), o, to); err != nil {
		t.Fatal(err)
	}
	if got, err := to.Load(t.Context(), "ada"); err != nil || got.Rev != 5 {
		t.Errorf("the backup has %+v, error %v", got, err)
	}
}

// oneActor is a jetstream.Source.
type oneActor struct{}

func (oneActor) Actors(_ context.Context, f func(jetstream.Stored) error) error {
	return f(jetstream.Stored{Snapshot: &store.Snapshot{Actor: "ada", Name: "chat", Log: "log", Rev: 5, State: []byte("1"), NextConn: 1}})
}

func (oneActor) Secrets(context.Context) (map[string][]byte, error) { return nil, nil }

func TestEmbedSaysWhatIsWrong(t *testing.T) {
	if _, err := Embed(EmbedOptions{Name: "n", Dir: t.TempDir(), Listen: "nowhere"}); err == nil {
		t.Error("it listens on an address without a port")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	alone := EmbedOptions{Name: "n", Dir: t.TempDir(), Listen: l.Addr().String(), Logger: slog.New(slog.DiscardHandler)}
	if _, err := Embed(alone); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("an address that is in use: got %v", err)
	}
	others := alone
	others.Peers = []string{"127.0.0.1:1", l.Addr().String()}
	if _, err := Embed(others); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("an address that is in use, of a server with others: got %v", err)
	}
}

// TestATwinDoesNotJoin: a node whose name another server has already ends before it has joined.
func TestATwinDoesNotJoin(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	peers := []string{"127.0.0.1:1", freeAddress(t)} // nobody is at the first
	first, err := Embed(EmbedOptions{Name: "a", Dir: t.TempDir(), Listen: "127.0.0.1:0", Peers: peers, Voter: true, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Stop()
	twin, err := New(Options{Node: "a", Embed: &EmbedOptions{Dir: t.TempDir(), Listen: peers[1], Peers: peers, Voter: true}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := twin.Join(ctx); err == nil || !strings.Contains(err.Error(), `has the name "a"`) {
		t.Errorf("got %v, want that there is another one with its name", err)
	}
	if err := twin.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestEmbedKeepsToOneOrSeveral starts the files of a server that was alone with others, and the other
// way round.
func TestEmbedKeepsToOneOrSeveral(t *testing.T) {
	one := EmbedOptions{Name: "a", Dir: t.TempDir(), Listen: "127.0.0.1:0", Voter: true, Logger: slog.New(slog.DiscardHandler)}
	start := func(o EmbedOptions) *Embedded {
		t.Helper()
		s, err := Embed(o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	refused := func(o EmbedOptions, want string) {
		t.Helper()
		s, err := Embed(o)
		if err == nil {
			s.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	several := one
	several.Peers = []string{"127.0.0.1:1", "127.0.0.1:2"} // nobody is there

	s := start(one)
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	s.Stop()
	refused(several, "of a cluster of one node")
	start(one).Stop()

	streams := filepath.Join("jetstream", "$G", "streams", "S")
	from := filepath.Join(one.Dir, streams)
	one.Dir = t.TempDir()
	several.Dir = one.Dir
	start(several).Stop()
	// Two servers would have made a stream now.
	if err := os.CopyFS(filepath.Join(one.Dir, streams), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	refused(one, "of a cluster of several nodes")
	start(several).Stop()
}

// TestEmbedNeedsRoom says of a full disk what is needed, and of another error what it is.
func TestEmbedNeedsRoom(t *testing.T) {
	tests := map[string]struct {
		prepare func(room string) error
		want    string
		room    bool
	}{
		"a full disk":       {func(room string) error { return os.Symlink("/dev/full", room) }, "no space left", true},
		"not to be written": {func(room string) error { return os.MkdirAll(filepath.Join(room, "x"), 0o700) }, "directory", false},
		"there is enough":   {func(string) error { return nil }, "", false},
		"left by a crash":   {func(room string) error { return os.WriteFile(room, []byte("x"), 0o600) }, "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat("/dev/full"); err != nil && test.room {
				t.Skip("this system has no device that is full")
			}
			o := EmbedOptions{Dir: t.TempDir(), Voter: true}
			room := filepath.Join(o.Dir, ".room")
			if err := test.prepare(room); err != nil {
				t.Fatal(err)
			}
			err := o.checkRoom()
			if test.want == "" {
				if files, _ := os.ReadDir(o.Dir); err != nil || len(files) != 0 {
					t.Errorf("got error %v, and %d files are left", err, len(files))
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "8 MiB of room") != test.room {
				t.Errorf("got error %v", err)
			}
		})
	}
}
