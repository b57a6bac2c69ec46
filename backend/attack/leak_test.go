package attack

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/wire"
)

// TestNothingIsLeft: after attacks that begin many things and end none of them, the server has
// as many goroutines as before. In the long form memory is compared, too: once what is
// bounded (SQLite's caches of pages, the heap that the garbage collector aims at, connections that
// may resume: 10,000 of each actor, after 34 rounds) has filled, more of the same takes no more of it.
func TestNothingIsLeft(t *testing.T) {
	s := start(t, append(noRates, "-journal-bytes=1000000")...) // its index in memory is as small then
	v := s.visitor(strangerAddr)
	attacks := []struct {
		name string
		run  func()
	}{
		{"sockets that are cut off while they open", func() {
			for range times(300, 60) {
				k := v.socket()
				k.send(v.open(1, "newsRoom", "left", nil))
				k.drop()
			}
		}},
		{"sockets that are cut off with calls under way", func() {
			for range times(300, 60) {
				k := v.socket()
				k.send(v.open(1, "chatRoom", "left", nil))
				k.await(isType(wire.TypeAt))
				for id := range uint64(20) {
					k.send(call(1, id+1, "sendMessage", "eve", "x"))
				}
				k.drop()
			}
		}},
		{"requests that are cut off", func() {
			for range times(300, 60) {
				for _, request := range []string{"GET /api/stream?v=1", "GET /api/socket?v=1", "POST /api/poll", "POST /api/actors/chatRoom/actions/sendMessage?key=left"} {
					conn, err := net.Dial("tcp", s.addr)
					if err != nil {
						t.Error(err)
						return
					}
					fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", request, s.addr, v.addr)
					_ = conn.Close()
				}
			}
		}},
		{"frames that do not end", func() {
			for range times(300, 60) {
				conn, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprintf(conn, "GET /api/socket?v=1 HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
					"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n%s", s.addr, v.addr, frame(0x01, `{"t":"open`))
				_ = conn.Close()
			}
		}},
	}
	for _, a := range attacks {
		a.run() // what is made once, such as the two actors, is there now
	}
	idle := s.settled(t, 1<<20)
	if idle < 10 {
		t.Fatalf("the server says that it has %d goroutines", idle)
	}
	for _, a := range attacks {
		a.run()
		const more = 3 // such as that of a commit
		if got := s.settled(t, idle+more); got > idle+more {
			t.Errorf("%s: the server has %d goroutines, before %d", a.name, got, idle)
		} else {
			t.Logf("%s: %d goroutines, before %d", a.name, got, idle)
		}
	}
	if *long {
		var memory []int64
		for range 6 {
			for range 10 {
				for _, a := range attacks {
					a.run()
				}
			}
			s.settled(t, idle)
			memory = append(memory, s.memory()>>20)
		}
		t.Logf("MB in memory after each ten rounds: %v", memory)
		if first, last := memory[3], memory[5]; last > first+first/4 {
			t.Errorf("the server has %d MB in memory, before as many attacks %d", last, first)
		}
	}
}

// settled returns the number of goroutines when it is at most want and does not fall any
// more, or what it is after 30 s.
func (s *server) settled(t *testing.T, want int) (got int) {
	t.Helper()
	got = 1 << 30
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(200 * time.Millisecond) {
		before := got
		if got = int(s.metric("go_goroutines")); got > 0 && got <= want && got >= before {
			break
		}
	}
	return got
}
