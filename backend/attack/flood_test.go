package attack

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"
)

// frame is a masked WebSocket frame; its mask is 0.
func frame(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// flood writes frames over and over until the server ends the socket, and returns what the
// server sent last, and how long that took.
func (v *visitor) flood(t *testing.T, first, again []byte) (last []byte, took time.Duration) {
	t.Helper()
	conn, err := net.Dial("tcp", v.s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/socket?v=1 HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n", v.s.addr, v.addr)
	_ = conn.SetDeadline(time.Now().Add(patience))
	begin := time.Now()
	go func() {
		_, err := conn.Write(first)
		for block := bytes.Repeat(again, 8<<10); err == nil; {
			_, err = conn.Write(block)
		}
	}()
	for b := make([]byte, 64<<10); ; {
		n, err := conn.Read(b)
		v.s.received.Add(int64(n))
		if n > 0 {
			last = bytes.Clone(b[:n])
		}
		if err != nil {
			return last, time.Since(begin)
		}
	}
}

// TestFloods: what has no effect does not cost much either. A socket that sends without end
// is closed with status 1008.
func TestFloods(t *testing.T) {
	s := start(t, noRates...)
	v := s.visitor(strangerAddr)
	s.attacked(t, func() {
		begin, cpu := time.Now(), s.cpu()
		done := make(chan struct{})
		floods := []struct {
			name         string
			first, again []byte
		}{
			{"pings", nil, frame(0x89, "")},
			{"unknown messages", nil, frame(0x81, `{"t":"x"}`)},
			{"beats", nil, frame(0x81, `{"t":"beat"}`)},
			{"empty lists", nil, frame(0x81, `[]`)},
			{"empty fragments", frame(0x01, ""), frame(0x00, "")},
		}
		for _, f := range floods {
			go func() {
				defer func() { done <- struct{}{} }()
				last, took := v.flood(t, f.first, f.again)
				if !bytes.Contains(last, []byte("\x88\x0e\x03\xf0rate_limited")) {
					t.Errorf("%s: the server ended with %q after %v, want a close with 1008", f.name, last, took)
				}
			}()
		}
		for range floods {
			<-done
		}
		if used := float64(s.cpu()-cpu) / float64(time.Since(begin)); used > 0.25 {
			t.Errorf("%d floods took %.0f %% of a core, want at most 25", len(floods), 100*used)
		} else {
			t.Logf("%d floods took %.0f %% of a core", len(floods), 100*used)
		}
	})
}
