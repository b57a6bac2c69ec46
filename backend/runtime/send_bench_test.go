//go:build linux

package runtime_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// player plays ball with another one.
type player struct {
	Hits int `json:"hits"`
}

type ball struct {
	Left int `json:"left"`
}

var ballsDown sync.WaitGroup // of BenchmarkSend

func (p *player) Serve(c *nothing, to string, hits int) {
	p.Hits++
	c.Send(actor.Of("player", to), ball{hits})
}

func (p *player) Hit(*nothing) { p.Hits++ }

func (p *player) ball(c *nothing, m ball) error {
	p.Hits++
	if m.Left == 0 {
		ballsDown.Done()
		return nil
	}
	from, _ := c.Sender()
	c.Send(from, ball{m.Left - 1})
	return nil
}

// cpu returns the time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSend is a message between two awake actors, durable at both, beside an action
// that changes as much: 64 of either at once, so that the store has groups to write.
func BenchmarkSend(b *testing.B) {
	const pairs = 64
	for _, kind := range []string{"memory", "sqlite"} {
		open := func(b *testing.B) *runtime.Node {
			var s store.Store = memory.New(memory.Options{})
			if kind == "sqlite" {
				var err error
				if s, err = sqlite.Open(context.Background(), b.TempDir(), sqlite.Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
					b.Fatal(err)
				}
			}
			registry := actor.NewRegistry(actor.Define[player]("player", actor.Handles((*player).ball)))
			node := runtime.New(registry, s, runtime.Options{Logger: slog.New(slog.DiscardHandler)})
			b.Cleanup(func() {
				if err := node.Shutdown(context.Background()); err != nil {
					b.Error(err)
				}
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
			return node
		}
		call := func(b *testing.B, node *runtime.Node, key, action string, args ...any) {
			r := host.DirectCall{Create: true, Action: action}
			for _, a := range args {
				r.Args = append(r.Args, []byte(fmt.Sprintf("%#v", a)))
			}
			if _, err := node.CallOnce(context.Background(), host.Ref{Name: "player", Key: host.Key{key}}, r); err != nil {
				b.Error(err)
			}
		}
		measure := func(b *testing.B, play func(pair, n int)) {
			for i := range pairs {
				play(i, 1) // wakes them
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			var wait sync.WaitGroup
			for i := range pairs {
				if n := (b.N + i) / pairs; n > 0 {
					wait.Go(func() { play(i, n) })
				}
			}
			wait.Wait()
			ballsDown.Wait()
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		}
		b.Run(kind+"/action", func(b *testing.B) {
			node := open(b)
			measure(b, func(pair, n int) {
				for range n {
					call(b, node, fmt.Sprint("a", pair), "hit")
				}
			})
		})
		b.Run(kind+"/send", func(b *testing.B) {
			node := open(b)
			measure(b, func(pair, n int) {
				ballsDown.Add(1)
				call(b, node, fmt.Sprint("a", pair), "serve", fmt.Sprint("b", pair), n-1)
			})
		})
	}
}
