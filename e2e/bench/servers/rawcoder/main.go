// Bare hub on coder/websocket: a read goroutine and a write goroutine with a
// bounded queue per connection; each broadcast is encoded once. No protocol
// beyond the bare JSON dialect: the ceiling for a stack built on this library.
package main

import (
	"bufio"
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/e2e/bench/servers/chat"

	"github.com/coder/websocket"
)

const queueLen = 256

type conn struct {
	ws   *websocket.Conn
	q    chan []byte
	done context.CancelFunc
}

// send queues a frame; a slow consumer is cut off.
func (c *conn) send(b []byte) {
	select {
	case c.q <- b:
	default:
		c.done()
	}
}

// corkWriter makes the library write through a corkConn.
type corkWriter struct {
	http.ResponseWriter
	c **corkConn
}

func (w *corkWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	*w.c = &corkConn{Conn: nc}
	return *w.c, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(*w.c, 4096)), nil
}

// corkConn keeps writes back while held. A pong written meanwhile waits for the
// next frame, which is already queued then.
type corkConn struct {
	net.Conn
	mu   sync.Mutex
	held bool
	buf  []byte
}

func (c *corkConn) hold(on bool) {
	c.mu.Lock()
	c.held = on
	c.mu.Unlock()
}

func (c *corkConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held && len(c.buf) < 16<<10 {
		c.buf = append(c.buf, p...)
		return len(p), nil
	}
	if len(c.buf) == 0 {
		return c.Conn.Write(p)
	}
	c.buf = append(c.buf, p...)
	_, err := c.Conn.Write(c.buf)
	c.buf = c.buf[:0]
	return len(p), err
}

func main() {
	addr := flag.String("addr", "127.0.0.1:7001", "listen address")
	wt := flag.Duration("write-timeout", 0, "per-write timeout (0: none)")
	batch := flag.String("batch", "", "what to do with several queued frames: frame (lines of one message) or cork (one write)")
	flag.Parse()
	var rooms chat.Rooms[*conn]
	http.HandleFunc("/connect", func(w http.ResponseWriter, r *http.Request) {
		var cork *corkConn
		if *batch == "cork" {
			w = &corkWriter{ResponseWriter: w, c: &cork}
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		c := &conn{ws: ws, q: make(chan []byte, queueLen), done: cancel}
		room := rooms.Get(r.URL.Query().Get("room"))
		c.send(chat.Init)
		room.Lock()
		room.Members[c] = struct{}{}
		room.Unlock()
		defer func() {
			room.Lock()
			delete(room.Members, c)
			room.Unlock()
		}()
		go func() {
			bg := context.Background()
			var buf []byte
			for {
				select {
				case b := <-c.q:
					if more := len(c.q); more > 0 && *batch == "frame" {
						buf = append(buf[:0], b...)
						for range more {
							buf = append(append(buf, '\n'), <-c.q...)
						}
						b = buf
					}
					if cork != nil {
						cork.hold(len(c.q) > 0)
					}
					wctx, stop := bg, context.CancelFunc(func() {})
					if *wt > 0 {
						wctx, stop = context.WithTimeout(bg, *wt)
					}
					err := ws.Write(wctx, websocket.MessageText, b)
					stop()
					if err != nil {
						cancel()
						return
					}
				case <-ctx.Done():
					return
				}
			}
		}()
		for {
			_, b, err := ws.Read(ctx)
			if err != nil {
				return
			}
			call, err := chat.ParseCall(b)
			if err != nil {
				return
			}
			room.Lock()
			_, body := room.Add(call.Args[0], call.Args[1])
			ev := chat.EventFrame(body)
			for m := range room.Members {
				m.send(ev)
			}
			room.Unlock()
			c.send(chat.ReplyFrame(call.ID, body))
		}
	})
	srv := &http.Server{Addr: *addr, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(srv.ListenAndServe())
}
