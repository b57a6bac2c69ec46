package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// BenchmarkResume is a connection that comes back on a new socket, over loopback,
// and gets what it missed: ns/event must not grow with its number, also where it is
// more than the log keeps in memory.
func BenchmarkResume(b *testing.B) {
	for _, missed := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("missed=%d", missed), func(b *testing.B) {
			e, url := serve(b)
			// back opens the connection on a socket of its own, and returns its answer and
			// how many events came before the at.
			back := func(fields ...string) (opened []byte, events int) {
				ws, _, err := websocket.Dial(context.Background(), strings.Replace(url, "http", "ws", 1)+"/api/socket?v=1", nil)
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = ws.CloseNow() }()
				ws.SetReadLimit(-1)
				l := &listener{ws: ws}
				l.read(b) // hello
				l.send(b, openFrame(1, "c", append(fields, `"subs":["said"]`)...))
				opened = bytes.Clone(l.read(b))
				for frame := opened; ; frame = l.read(b) {
					events += bytes.Count(frame, []byte(`"t":"event"`))
					if frame == nil || bytes.Contains(frame, []byte(`"t":"at"`)) {
						return opened, events
					}
				}
			}
			frame, _ := back()
			var opened struct {
				Log string
				S   int
			}
			d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(frame, []byte("["))))
			if err := d.Decode(&opened); err != nil || opened.Log == "" {
				b.Fatalf("no opened: %v %s", err, frame)
			}
			text := fmt.Sprintf("%q", strings.Repeat("x", 200))
			for range missed {
				e.once("say", text)
			}
			from := []string{fmt.Sprintf(`"log":%q`, opened.Log), fmt.Sprintf(`"s":%d`, opened.S)}
			b.ReportAllocs()
			for b.Loop() {
				if _, events := back(from...); events != missed {
					b.Fatalf("got %d events, want %d", events, missed)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(missed), "ns/event")
		})
	}
}
