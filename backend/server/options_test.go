package server

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// A zero option means its default, a negative limit means none.
func TestOptions_defaults(t *testing.T) {
	o, err := Options{BasePath: "/app/"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if o.Data != "data" || o.BasePath != "/app" || o.Logger == nil {
		t.Errorf("got %+v", o)
	}
	if o.MaxSockets != openFiles()/4*3 || o.MaxActors != 250_000 || o.MaxActorBytes != defaultMaxActorBytes(os.DirFS("/")) || o.MaxBuffers != defaultMaxBuffers(MemoryLimit()) || o.MaxSocketsPerIP != 2000 || o.ConnectRatePerIP != 50 || o.CallRatePerIP != 500 || o.ActorRatePerIP != 5 {
		t.Errorf("got the limits %+v", o)
	}
	o, err = Options{MaxSockets: -1, MaxActors: -1, MaxActorBytes: -1, MaxBuffers: -1, MaxSocketsPerIP: -1, ConnectRatePerIP: -1, CallRatePerIP: -0.5, ActorRatePerIP: -1}.withDefaults()
	if err != nil || o.MaxSockets != 0 || o.MaxActors != 0 || o.MaxActorBytes != 0 || o.MaxBuffers != 0 || o.MaxSocketsPerIP != 0 || o.ConnectRatePerIP != 0 || o.CallRatePerIP != 0 || o.ActorRatePerIP != 0 {
		t.Errorf("got the limits %+v, %v; want none", o, err)
	}
	o, err = Options{MaxSockets: 1, MaxActors: 2, MaxBuffers: 3, MaxSocketsPerIP: 4, ConnectRatePerIP: 0.5, CallRatePerIP: 6}.withDefaults()
	if err != nil || o.MaxSockets != 1 || o.MaxActors != 2 || o.MaxBuffers != 3 || o.MaxSocketsPerIP != 4 || o.ConnectRatePerIP != 0.5 || o.CallRatePerIP != 6 {
		t.Errorf("got the limits %+v, %v; want those of the options", o, err)
	}
}

func TestOptions_errors(t *testing.T) {
	for want, o := range map[string]Options{
		"both Data (d) and a Store":                                    {Data: "d", Store: memory.New(memory.Options{})},
		"both JournalBytes and a Store are set":                        {JournalBytes: 1 << 20, Store: memory.New(memory.Options{})},
		"TableCache: want a number of bytes":                           {TableCache: -1},
		"JournalBytes: want a number of bytes":                         {JournalBytes: -1},
		"option Drain: want a duration from 0 to 1h0m0s, got -1s":      {Drain: -time.Second},
		"option Drain: want a duration from 0 to 1h0m0s, got 100h0m0s": {Drain: 100 * time.Hour},
		"TrustedProxies: a prefix is not valid":                        {TrustedProxies: make([]netip.Prefix, 1)},
		`DebugAddr: want host:port or :port`:                           {DebugAddr: "localhost:pprof"},
		`BasePath: want a path of letters`:                             {BasePath: "app"},
		`BasePath: the server itself uses /api`:                        {BasePath: "/api/v1"},
	} {
		if _, err := o.withDefaults(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// More sockets than open files are possible, but not on this machine: the log says so.
func TestOptions_moreSocketsThanFiles(t *testing.T) {
	if openFiles() == 0 {
		t.Skip("open files have no limit")
	}
	var log bytes.Buffer
	s, err := New(actor.NewRegistry(), Options{
		MaxSockets: openFiles(), Store: memory.New(memory.Options{}), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "MaxSockets cannot be reached") {
		t.Errorf("log: got %s, want that MaxSockets cannot be reached", &log)
	}
}

// Errors of listening say what to write.
func TestListen(t *testing.T) {
	for addr, want := range map[string]string{
		"localhost:abc":       `want host:port or :port with a port from 0 to 65535, got "localhost:abc"`,
		"8080":                `got "8080"`,
		"192.0.2.1:0":         "the address 192.0.2.1:0 is not one of this machine: want an IP address of it, or only a port, such as :8080",
		"no-such.invalid:0":   "is not one of this machine",
		"http://localhost:80": `got "http://localhost:80"`,
	} {
		l, err := Listen(t.Context(), addr)
		if err == nil {
			_ = l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %q", addr, err, want)
		}
	}
}

// LogHandler does not wrap its own handlers again.
func TestLogHandler_once(t *testing.T) {
	h := LogHandler(slog.NewTextHandler(&bytes.Buffer{}, nil))
	if LogHandler(h) != h {
		t.Error("LogHandler wrapped its own handler")
	}
}
