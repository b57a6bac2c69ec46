//go:build unix

package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

// listener is a client for benchmarks: it counts what it gets, and costs as
// little as the library allows.
type listener struct {
	ws  *websocket.Conn
	buf bytes.Buffer
}

func (l *listener) read(b *testing.B) []byte {
	_, r, err := l.ws.Reader(context.Background())
	if err == nil {
		l.buf.Reset()
		_, err = l.buf.ReadFrom(r)
	}
	if err != nil {
		b.Error(err)
		return nil
	}
	return l.buf.Bytes()
}

func listen(b *testing.B, url string, i int) *listener {
	ws, _, err := websocket.Dial(context.Background(), strings.Replace(url, "http", "ws", 1)+"/api/socket?v=1", nil)
	if err != nil {
		b.Fatal(err)
	}
	ws.SetReadLimit(-1)
	l := &listener{ws: ws}
	l.send(b, openFrame(1, fmt.Sprint("c", i), `"subs":["said"]`))
	for !bytes.Contains(l.read(b), []byte(`"t":"at"`)) {
	}
	return l
}

func (l *listener) send(b *testing.B, frame string) {
	if err := l.ws.Write(context.Background(), websocket.MessageText, []byte(frame)); err != nil {
		b.Fatal(err)
	}
}

func serve(b testing.TB, with ...setup) (*env, string) {
	e := newEnv(b, append(with, gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e9, Burst: 1e9, InFlight: 1e6, Channels: 1000}, OpenRate: 1e9}))...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: e.h}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	b.Cleanup(func() {
		e.stop()
		_ = server.Close()
		<-done
	})
	return e, "http://" + l.Addr().String()
}

// BenchmarkFanOut is one event to many connections, each on a socket of its own,
// over loopback: broadcast, sent to one connection after the other, and to those
// for which a function is true. The clients run in the same process: their
// reading is in the figures. A window keeps the talker from running ahead of the
// readers by more than 8 events.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("broadcast/connections=%d", n), func(b *testing.B) { benchmarkFanOut(b, n, "say") })
	}
	b.Run("each/connections=1000", func(b *testing.B) { benchmarkFanOut(b, 1000, "sayToEach") })
	b.Run("where/connections=1000", func(b *testing.B) { benchmarkFanOut(b, 1000, "sayWhere") })
}

func benchmarkFanOut(b *testing.B, n int, action string) {
	e, url := serve(b)
	var got atomic.Int64
	changed := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for i := range n {
		l := listen(b, url, i)
		wg.Go(func() {
			for seen := 0; seen < b.N; {
				events := bytes.Count(l.read(b), []byte(`"t":"event"`))
				seen += events
				got.Add(int64(events))
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		})
		b.Cleanup(func() { _ = l.ws.CloseNow() })
	}
	text := fmt.Sprintf("%q", strings.Repeat("x", 200))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime(b)
	b.ResetTimer()
	for i := range b.N {
		e.once(action, text)
		for got.Load() < int64(i-8)*int64(n) {
			<-changed
		}
	}
	wg.Wait()
	b.StopTimer()
	runtime.ReadMemStats(&after)
	deliveries := float64(b.N * n)
	b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/deliveries, "cpu-ns/delivery")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/deliveries, "allocs/delivery")
}

// cpuTime is what the process has used of CPUs.
func cpuTime(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAction is the round trip of an action that changes the state and
// broadcasts, on one socket: one call at a time, and 64 at a time.
func BenchmarkAction(b *testing.B) {
	for _, window := range []int{1, 64} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			_, url := serve(b)
			l := listen(b, url, 0)
			b.Cleanup(func() { _ = l.ws.CloseNow() })
			b.ReportAllocs()
			b.ResetTimer()
			for sent, answered := 0, 0; answered < b.N; {
				for sent < b.N && sent-answered < window {
					sent++
					l.send(b, callFrame(1, sent, "say", "hello"))
				}
				answered += bytes.Count(l.read(b), []byte(`"t":"reply"`))
			}
		})
	}
}

// BenchmarkHTTP is an action over HTTP, without the network.
func BenchmarkHTTP(b *testing.B) {
	e := newEnv(b)
	defer e.stop()
	b.ReportAllocs()
	for b.Loop() {
		if got := do(b, e.h, "POST", "/api/actors/room/actions/say?key=a", `{"args":["x"]}`); got.status != 200 {
			b.Fatal(got.body)
		}
	}
}

// BenchmarkIdle reports what a socket with one connection costs when nothing
// happens. Clients are bare TCP connections, without a goroutine of their own.
func BenchmarkIdle(b *testing.B) {
	_, url := serve(b)
	heap, stacks := inUse()
	b.ResetTimer()
	for i := range b.N {
		dialBare(b, url).ask(openFrame(1, fmt.Sprint("c", i), `"subs":["said"]`), 1)
	}
	b.StopTimer()
	moreHeap, moreStacks := inUse()
	b.ReportMetric((moreHeap-heap)/float64(b.N), "heap-bytes/socket")
	b.ReportMetric((moreStacks-stacks)/float64(b.N), "stack-bytes/socket")
}

// BenchmarkChannels reports what each further connection on a socket costs when
// nothing happens: of the same actor as the others, and each of an actor of its
// own, whose share is in the figures, too.
func BenchmarkChannels(b *testing.B) {
	for _, kind := range []string{"same actor", "own actor"} {
		for _, n := range []int{1, 10, 100, 500} {
			b.Run(fmt.Sprintf("%s/channels=%d", kind, n), func(b *testing.B) { benchmarkChannels(b, n, kind == "own actor") })
		}
	}
}

func benchmarkChannels(b *testing.B, n int, own bool) {
	const sockets = 20
	_, url := serve(b)
	var clients []*bare
	open := func(round, from, to int) {
		for i, c := range clients {
			var opens []string
			for ch := from; ch <= to; ch++ {
				key := `"key":["lobby"]`
				if own {
					key = fmt.Sprintf(`"key":["%d","%d","%d"]`, round, i, ch)
				}
				opens = append(opens, openFrame(ch, fmt.Sprint("c", round, "-", i, "-", ch), `"subs":["said"]`, key))
			}
			for len(opens) > 0 {
				some := opens[:min(len(opens), 50)]
				c.ask("["+strings.Join(some, ",")+"]", len(some))
				opens = opens[len(some):]
			}
		}
	}
	var each float64
	for round := range b.N {
		clients = nil // those of the rounds before stay
		for range sockets {
			clients = append(clients, dialBare(b, url))
		}
		open(round, 1, 1)
		heap, stacks := inUse()
		open(round, 2, n+1)
		moreHeap, moreStacks := inUse()
		each += (moreHeap - heap + moreStacks - stacks) / float64(n*sockets)
	}
	b.ReportMetric(each/float64(b.N), "bytes/channel")
}

// bare is a client without a goroutine or a buffer that stays.
type bare struct {
	b    testing.TB
	conn net.Conn
}

func dialBare(b testing.TB, url string) *bare {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprint(conn, "GET /api/socket?v=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	return &bare{b, conn}
}

func (c *bare) send(frame string) {
	head := []byte{0x81, 0x80 | 126, byte(len(frame) >> 8), byte(len(frame)), 0, 0, 0, 0}
	if _, err := fmt.Fprintf(c.conn, "%s%s", head, frame); err != nil {
		c.b.Fatal(err)
	}
}

// ask sends a frame and reads until it has come to so many ats.
func (c *bare) ask(frame string, ats int) {
	c.send(frame)
	const at = `"t":"at"`
	var got [4096]byte
	for n := 0; ats > 0; {
		m, err := c.conn.Read(got[n:])
		if err != nil {
			c.b.Fatal(err)
		}
		n += m
		ats -= bytes.Count(got[:n], []byte(at))
		if i := bytes.LastIndex(got[:n], []byte(at)); i >= 0 {
			n = copy(got[:], got[i+len(at):n])
		}
		if over := n - len(at); over > 0 {
			n = copy(got[:], got[over:n]) // may be the start of one
		}
	}
}

func inUse() (heap, stacks float64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.StackInuse)
}
