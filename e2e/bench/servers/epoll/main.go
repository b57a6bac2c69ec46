// Physical-limit proxy: one epoll thread, raw write(2) of a prebuilt frame to
// every socket, gobwas/ws for the handshake and frame headers. No queues, no
// timeouts, no slow-consumer handling: not something to ship.
package main

import (
	"bytes"
	"flag"
	"log"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/troupe-dev/troupe/e2e/bench/servers/chat"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

type conn struct {
	fd   int
	room *chat.Room[*conn]
	in   []byte
}

type fdRW int

func (f fdRW) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(f), p)
	if n == 0 && err == nil {
		return 0, syscall.ECONNRESET
	}
	return n, err
}
func (f fdRW) Write(p []byte) (int, error) { return syscall.Write(int(f), p) }

func frame(op ws.OpCode, b []byte) []byte {
	var buf bytes.Buffer
	_ = ws.WriteFrame(&buf, ws.NewFrame(op, true, b))
	return buf.Bytes()
}

func main() {
	addr := flag.String("addr", "127.0.0.1:7003", "listen address")
	flag.Parse()
	_, port, _ := strings.Cut(*addr, ":")
	p := 0
	for _, d := range port {
		p = p*10 + int(d-'0')
	}
	ep, err := unix.EpollCreate1(0)
	if err != nil {
		log.Fatal(err)
	}
	lfd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		log.Fatal(err)
	}
	_ = syscall.SetsockoptInt(lfd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(lfd, &syscall.SockaddrInet4{Port: p, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		log.Fatal(err)
	}
	if err := syscall.Listen(lfd, 1024); err != nil {
		log.Fatal(err)
	}
	var (
		mu    sync.RWMutex
		conns = map[int]*conn{}
		rooms chat.Rooms[*conn]
	)
	go func() {
		initFrame := frame(ws.OpText, chat.Init)
		for {
			fd, _, err := syscall.Accept(lfd)
			if err != nil {
				continue
			}
			go func() {
				name := ""
				u := ws.Upgrader{OnRequest: func(uri []byte) error {
					if pu, err := url.ParseRequestURI(string(uri)); err == nil {
						name = pu.Query().Get("room")
					}
					return nil
				}}
				if _, err := u.Upgrade(fdRW(fd)); err != nil {
					syscall.Close(fd)
					return
				}
				_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
				c := &conn{fd: fd, room: rooms.Get(name)}
				mu.Lock()
				conns[fd] = c
				mu.Unlock()
				c.room.Lock()
				c.room.Members[c] = struct{}{}
				c.room.Unlock()
				_, _ = syscall.Write(fd, initFrame)
				_ = syscall.SetNonblock(fd, true)
				_ = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
			}()
		}
	}()
	runtime.LockOSThread()
	evs := make([]unix.EpollEvent, 512)
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.EpollWait(ep, evs, -1)
		if err != nil {
			if err == unix.EINTR {
				continue
			}
			log.Fatal(err)
		}
		for _, ev := range evs[:n] {
			mu.RLock()
			c := conns[int(ev.Fd)]
			mu.RUnlock()
			if c == nil {
				continue
			}
			k, err := syscall.Read(c.fd, buf)
			if k <= 0 {
				if err == syscall.EAGAIN {
					continue
				}
				drop(ep, &mu, conns, c)
				continue
			}
			c.in = append(c.in, buf[:k]...)
			for {
				rd := bytes.NewReader(c.in)
				h, err := ws.ReadHeader(rd)
				if err != nil {
					break
				}
				hl := len(c.in) - rd.Len()
				if len(c.in) < hl+int(h.Length) {
					break
				}
				pl := c.in[hl : hl+int(h.Length)]
				if h.Masked {
					ws.Cipher(pl, h.Mask, 0)
				}
				handle(c, h.OpCode, pl)
				c.in = append(c.in[:0], c.in[hl+int(h.Length):]...)
			}
		}
	}
}

func handle(c *conn, op ws.OpCode, pl []byte) {
	if op == ws.OpPing {
		_, _ = syscall.Write(c.fd, frame(ws.OpPong, pl))
	}
	if op != ws.OpText {
		return
	}
	call, err := chat.ParseCall(pl)
	if err != nil {
		return
	}
	c.room.Lock()
	_, body := c.room.Add(call.Args[0], call.Args[1])
	ev := frame(ws.OpText, chat.EventFrame(body))
	for m := range c.room.Members {
		_, _ = syscall.Write(m.fd, ev) // a full socket would lose the frame; the harness counts losses
	}
	c.room.Unlock()
	_, _ = syscall.Write(c.fd, frame(ws.OpText, chat.ReplyFrame(call.ID, body)))
}

func drop(ep int, mu *sync.RWMutex, conns map[int]*conn, c *conn) {
	c.room.Lock()
	delete(c.room.Members, c)
	c.room.Unlock()
	mu.Lock()
	delete(conns, c.fd)
	mu.Unlock()
	_ = unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, c.fd, nil)
	syscall.Close(c.fd)
}
