//go:build unix

package inspect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/inspect"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// audience reads an actor's log for one connection, as a gateway does.
type audience struct {
	log  *host.Log
	mu   sync.Mutex
	pos  host.Pos
	outs []*host.Output
	sent []byte
}

func (a *audience) Published() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outs, a.pos, _ = a.log.Read(a.pos, a.outs[:0], 64)
	for _, o := range a.outs {
		a.sent = append(a.sent[:0], o.Data...)
	}
}

// cpuTime is how long the process has computed.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkFanout is an action whose event goes to 1,000 connections, while nobody looks, one
// page shows the overview, or one page shows that actor. Compare the cpu-ns/op of one run;
// turns are as many as the machine can do.
func BenchmarkFanout(b *testing.B) {
	for _, view := range []string{"none", "overview", "actor"} {
		b.Run(view, func(b *testing.B) {
			node := runtime.New(shops, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.DiscardHandler)})
			in := inspect.New(inspect.Options{Node: runtime.Inspect(node), Gateway: gateway{}, Write: true, Token: token, Logger: slog.New(slog.DiscardHandler)})
			defer func() {
				in.Close()
				if err := node.Shutdown(context.Background()); err != nil {
					b.Error(err)
				}
			}()
			ref := host.Ref{Name: "shop", Key: host.Key{"a"}}
			for n := range 1000 {
				a := &audience{}
				var err error
				a.mu.Lock()
				a.log, err = node.Follow(ref, a)
				a.mu.Unlock()
				if err != nil {
					b.Fatal(err)
				}
				if err := node.Open(ref, host.OpenRequest{Attachment: host.NextAttachment(), Create: true, Conn: fmt.Sprint("conn", n), Producer: fmt.Sprint("caller", n)}); err != nil {
					b.Fatal(err)
				}
			}
			sell := host.DirectCall{Create: true, Action: "sell", Args: []json.RawMessage{json.RawMessage(`"tea"`), json.RawMessage("0")}}
			call := func() {
				if _, err := node.CallOnce(context.Background(), ref, sell); err != nil {
					b.Fatal(err)
				}
			}
			call()
			if view != "none" {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/inspect/api/stream?view="+view+"&id="+idOf("a"), nil)
				r.Header.Set("Authorization", "Bearer "+token)
				go in.Handler().ServeHTTP(&httptest.ResponseRecorder{Body: &bytes.Buffer{}}, r)
				time.Sleep(100 * time.Millisecond)
			}
			before := cpuTime()
			for b.Loop() {
				call()
			}
			b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
