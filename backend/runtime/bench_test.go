package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// benchConn reads its outputs as they are published, as a gateway does, and
// tells of replies.
type benchConn struct {
	log     *host.Log
	num     uint32
	attach  host.Attachment
	opened  chan uint32
	replies chan struct{}

	mu     sync.Mutex
	cursor host.Pos
	buf    []*host.Output
	events int
}

func (c *benchConn) Published() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf, c.cursor, _ = c.log.Read(c.cursor, c.buf[:0], 64)
	for _, o := range c.buf {
		switch {
		case o.Kind == host.OutputOpened && o.To == c.attach:
			c.num = o.Opened.Num
			c.opened <- c.num
		case o.Kind == host.OutputEvent && o.Target.Includes(c.num):
			c.events++
		case o.Kind == host.OutputReply && (o.To == c.attach || o.Numbered && o.Target.Includes(c.num)):
			c.replies <- struct{}{}
		}
	}
}

func benchConns(b *testing.B, n int) (*runtime.Node, host.Ref, []*benchConn) {
	node := runtime.New(ledgers, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	b.Cleanup(func() {
		if err := node.Shutdown(context.Background()); err != nil {
			b.Log(err)
		}
	})
	var conns []*benchConn
	for i := range n {
		c := &benchConn{attach: host.NextAttachment(), opened: make(chan uint32, 1), replies: make(chan struct{}, 1)}
		c.mu.Lock()
		var err error
		if c.log, err = node.Follow(ledgerRef, c); err != nil {
			b.Fatal(err)
		}
		c.cursor = c.log.Visible()
		c.mu.Unlock()
		if err := node.Open(ledgerRef, host.OpenRequest{Attachment: c.attach, Create: true, Conn: fmt.Sprint("conn", i), Producer: fmt.Sprint("caller", i)}); err != nil {
			b.Fatal(err)
		}
		<-c.opened
		conns = append(conns, c)
	}
	return node, ledgerRef, conns
}

// BenchmarkBroadcast is one action that broadcasts one event, read by all
// connections from the log: ns/delivery must not grow with their number.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("conns=%d", n), func(b *testing.B) {
			node, ref, conns := benchConns(b, n)
			args := []json.RawMessage{[]byte("0")}
			call := func(action string, i int) {
				if err := node.Call(ref, host.CallRequest{Attachment: conns[0].attach, Conn: "conn0", ID: uint64(i + 1), Action: action, Args: args}); err != nil {
					b.Fatal(err)
				}
				<-conns[0].replies
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				call("ping", i)
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}

// BenchmarkAction is the round trip of one call to the actor and back, without
// a socket, for a state of a few bytes and of about 15 KB.
func BenchmarkAction(b *testing.B) {
	for _, test := range []struct {
		name, action string
		args         []json.RawMessage
		fill         int
	}{
		{"read-only", "get", nil, 0},
		{"small state", "ping", []json.RawMessage{[]byte("0")}, 0},
		{"15 KB state", "ping", []json.RawMessage{[]byte("0")}, 5000},
	} {
		b.Run(test.name, func(b *testing.B) {
			node, ref, conns := benchConns(b, 1)
			id := uint64(0)
			call := func(action string, args []json.RawMessage) {
				id++
				if err := node.Call(ref, host.CallRequest{Attachment: conns[0].attach, Conn: "conn0", ID: id, Action: action, Args: args}); err != nil {
					b.Fatal(err)
				}
				<-conns[0].replies
			}
			for range test.fill {
				call("add", []json.RawMessage{[]byte("0")})
			}
			b.ReportAllocs()
			for b.Loop() {
				call(test.action, test.args)
			}
		})
	}
}

// BenchmarkCollection is a turn that appends an item and removes the first one, or
// replaces a value of a map, without a socket: the length must not matter.
func BenchmarkCollection(b *testing.B) {
	for _, kind := range []string{"list", "map"} {
		for _, n := range []int{10, 1000, 100_000} {
			b.Run(fmt.Sprintf("%s/items=%d", kind, n), func(b *testing.B) {
				node := runtime.New(shelves, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.DiscardHandler)})
				b.Cleanup(func() { _ = node.Shutdown(context.Background()) })
				do := func(steps ...json.RawMessage) {
					_, err := node.CallOnce(context.Background(), host.Ref{Name: "shelf", Key: host.Key{"a"}}, host.DirectCall{Create: true, Action: "do", Args: steps})
					if err != nil {
						b.Fatal(err)
					}
				}
				encode := func(steps ...step) json.RawMessage {
					raw, err := json.Marshal(steps)
					if err != nil {
						b.Fatal(err)
					}
					return raw
				}
				var turns []json.RawMessage
				if kind == "list" {
					do(encode(step{Kind: "append", I: n, Book: book{strings.Repeat("x", 100), 1}}), json.RawMessage(`""`))
					turns = append(turns, encode(step{Kind: "append", I: 1, Book: book{strings.Repeat("y", 100), 1}}, step{Kind: "delete", J: 1}))
				} else {
					var fill []step
					for i := range n {
						fill = append(fill, step{Kind: "score", Key: fmt.Sprintf("player%06d", i), I: 1})
					}
					do(encode(fill...), json.RawMessage(`""`))
					for i := range 16 {
						turns = append(turns, encode(step{Kind: "score", Key: fmt.Sprintf("player%06d", i*n/16), I: 10 + i}))
					}
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					do(turns[i%len(turns)], json.RawMessage(`""`))
				}
			})
		}
	}
}

// BenchmarkFirstCall is a call of an actor that is not in memory, with all that loads it.
func BenchmarkFirstCall(b *testing.B) {
	s := memory.New(memory.Options{Retention: time.Hour})
	refs := make([]host.Ref, b.N)
	for i := range refs {
		refs[i] = host.Ref{Name: "shelf", Key: host.Key{strconv.Itoa(i)}}
		c := &store.Commit{
			Actor: host.ActorID("shelf", refs[i].Key), Name: "shelf", Key: refs[i].Key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1,
			State: []byte(`{"name":"fiction","books":[{"title":"Emma","pages":474},{"title":"Persuasion","pages":249}],"scores":{"a":1},"authors":{},"Floats":[]}`),
		}
		if errs := s.Commit(b.Context(), []*store.Commit{c}); errs != nil {
			b.Fatal(errs)
		}
	}
	node := runtime.New(shelves, s, runtime.Options{Logger: slog.New(slog.DiscardHandler)})
	b.ReportAllocs()
	b.ResetTimer()
	for _, ref := range refs {
		if _, err := node.CallOnce(b.Context(), ref, host.DirectCall{Action: "restored"}); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := node.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
}
