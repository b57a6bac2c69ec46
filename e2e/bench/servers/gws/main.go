// Bare hub on lxzan/gws with its Broadcaster (frame built once, asynchronous
// per-connection write queue).
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/troupe-dev/troupe/e2e/bench/servers/chat"

	"github.com/lxzan/gws"
)

type handler struct {
	gws.BuiltinEventHandler
	rooms chat.Rooms[*gws.Conn]
}

func (h *handler) OnOpen(c *gws.Conn) {
	name, _ := c.Session().Load("room")
	room := h.rooms.Get(name.(string))
	c.Session().Store("r", room)
	room.Lock()
	room.Members[c] = struct{}{}
	room.Unlock()
	c.WriteAsync(gws.OpcodeText, chat.Init, nil)
}

func (h *handler) OnClose(c *gws.Conn, err error) {
	v, _ := c.Session().Load("r")
	room := v.(*chat.Room[*gws.Conn])
	room.Lock()
	delete(room.Members, c)
	room.Unlock()
}

func (h *handler) OnPing(c *gws.Conn, p []byte) { _ = c.WritePong(p) }

func (h *handler) OnMessage(c *gws.Conn, msg *gws.Message) {
	defer msg.Close()
	call, err := chat.ParseCall(msg.Bytes())
	if err != nil {
		c.WriteClose(1003, nil)
		return
	}
	v, _ := c.Session().Load("r")
	room := v.(*chat.Room[*gws.Conn])
	room.Lock()
	_, body := room.Add(call.Args[0], call.Args[1])
	b := gws.NewBroadcaster(gws.OpcodeText, chat.EventFrame(body))
	for m := range room.Members {
		_ = b.Broadcast(m)
	}
	room.Unlock()
	b.Close()
	c.WriteAsync(gws.OpcodeText, chat.ReplyFrame(call.ID, body), nil)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:7002", "listen address")
	flag.Parse()
	h := &handler{}
	up := gws.NewUpgrader(h, &gws.ServerOption{
		Authorize: func(r *http.Request, s gws.SessionStorage) bool {
			s.Store("room", r.URL.Query().Get("room"))
			return true
		},
	})
	http.HandleFunc("/connect", func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r)
		if err != nil {
			return
		}
		go c.ReadLoop()
	})
	log.Fatal(http.ListenAndServe(*addr, nil))
}
