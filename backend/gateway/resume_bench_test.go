//go:build unix

package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkResumeMany is 1,000 connections that come back together, or one after
// the other, after the same 100 events, beside the delivery of 100 events while
// they are there: in memory, and where the log's memory has moved on and the store
// is read. Sockets are dialed before, opens are in the figures. The clients run in
// the same process, in the figures of both.
func BenchmarkResumeMany(b *testing.B) {
	for _, way := range []string{"together", "in turn"} {
		b.Run("memory/"+way, func(b *testing.B) { benchmarkResumeMany(b, way == "in turn") })
		b.Run("store/"+way, func(b *testing.B) {
			benchmarkResumeMany(b, way == "in turn", func(e *env) { e.dir = b.TempDir() })
		})
	}
}

func benchmarkResumeMany(b *testing.B, inTurn bool, with ...setup) {
	const clients, events = 1000, 100
	e, url := serve(b, with...)
	e.once("count") // creates it
	var got atomic.Int64
	changed := make(chan struct{}, 1)
	await := func(n int64) {
		for got.Load() < n {
			<-changed
		}
		got.Add(-n)
	}
	// count reads on a goroutine of its own until the connection is closed.
	count := func(conn net.Conn) {
		buf, mark := make([]byte, 16<<10), []byte(`"t":"event"`)
		for n := 0; ; {
			m, err := conn.Read(buf[n:])
			if err != nil {
				return
			}
			n += m
			got.Add(int64(bytes.Count(buf[:n], mark)))
			select {
			case changed <- struct{}{}:
			default:
			}
			if i := bytes.LastIndex(buf[:n], mark); i >= 0 {
				n = copy(buf, buf[i+len(mark):n])
			}
			if over := n - len(mark); over > 0 {
				n = copy(buf, buf[over:n]) // may be the start of one
			}
		}
	}
	text := fmt.Sprintf("%q", strings.Repeat("x", 200))
	moved := fmt.Sprintf("%q", strings.Repeat("x", 16<<10))
	var live, resumed time.Duration
	var allocs uint64
	b.ResetTimer()
	for round := range b.N {
		b.StopTimer()
		var there []*bare
		for i := range clients {
			c := dialBare(b, url)
			c.ask(openFrame(1, fmt.Sprint("c", round, "-", i), `"subs":["said"]`), 1)
			there = append(there, c)
			go count(c.conn)
		}
		cpu := cpuTime(b)
		for i := range events {
			e.once("say", text)
			for got.Load() < int64(i-8)*clients {
				<-changed
			}
		}
		await(events * clients)
		live += cpuTime(b) - cpu

		probe := listen(b, url, round)
		probe.send(b, openFrame(2, "probe"))
		var opened struct {
			Log string
			S   uint64
		}
		d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(probe.read(b), []byte("["))))
		if err := d.Decode(&opened); err != nil || opened.Log == "" {
			b.Fatal("no opened: ", err)
		}
		_ = probe.ws.CloseNow()
		for _, c := range there {
			_ = c.conn.Close()
		}
		for e.g.Sockets() > 0 {
			runtime.Gosched()
		}
		for range events {
			e.once("say", text)
		}
		for range 40 * min(len(with), 1) {
			e.once("move", moved) // 1 MiB that nobody waits for: the events leave memory
		}
		for i := range there {
			there[i] = dialBare(b, url)
			go count(there[i].conn)
		}

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		cpu = cpuTime(b)
		b.StartTimer()
		for i, c := range there {
			c.send(openFrame(1, fmt.Sprint("c", round, "-", i), `"subs":["said"]`, resume(opened.Log, opened.S)))
			if inTurn {
				await(events)
			}
		}
		if !inTurn {
			await(events * clients)
		}
		b.StopTimer()
		resumed += cpuTime(b) - cpu
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
		for _, c := range there {
			_ = c.conn.Close()
		}
	}
	n := float64(b.N * clients * events)
	b.ReportMetric(float64(live)/n, "live-cpu-ns/event")
	b.ReportMetric(float64(resumed)/n, "cpu-ns/event")
	b.ReportMetric(float64(resumed)/float64(live), "ratio")
	b.ReportMetric(float64(allocs)/n, "allocs/event")
}
