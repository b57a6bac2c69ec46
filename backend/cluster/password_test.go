package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// output is what several goroutines write.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// A node that the servers do not let in says why and what to check, and never with which password.
func TestAWrongPasswordIsNotSaid(t *testing.T) {
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, Username: "ada", Password: "right", NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	const password = "hunter22"
	log := &output{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := New(Options{Node: "n", URL: "nats://ada:" + password + "@" + s.Addr().String(), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	joined := make(chan error, 1)
	go func() { joined <- c.Join(ctx) }()
	eventually(t, "the log says why", func() bool {
		return strings.Contains(log.String(), "Authorization Violation") && strings.Contains(log.String(), "check -cluster with its password")
	})
	eventually(t, "who begins a journal learns why", func() bool {
		short, done := context.WithTimeout(ctx, 20*time.Millisecond)
		defer done()
		_, err := c.store.Begin(short, time.Second)
		fmt.Fprintln(log, err)
		return err != nil && strings.Contains(err.Error(), "Authorization Violation") // not while it tries again
	})
	cancel()
	if err := <-joined; err == nil {
		t.Error("it has joined")
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = New(Options{Node: "n", URL: "nats://ada:" + password + "%zz@127.0.0.1:1", Logger: logger})
	if err == nil {
		t.Error("a URL that does not decode is taken")
	}
	if said := log.String() + fmt.Sprint(err); strings.Contains(said, password) {
		t.Errorf("the password is in %s", said)
	}
}
