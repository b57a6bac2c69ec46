// centrifuge (Go library), JSON protocol over WebSocket, memory broker. The
// client subscribes to its room's channel and calls an RPC that publishes.
// -recovery turns on per-channel history (100 messages) with stream recovery.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/e2e/bench/servers/chat"

	"github.com/centrifugal/centrifuge"
)

type room struct {
	sync.Mutex
	chat.History
}

func main() {
	addr := flag.String("addr", "127.0.0.1:7004", "listen address")
	recovery := flag.Bool("recovery", false, "history + recovery")
	flag.Parse()
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError})
	if err != nil {
		log.Fatal(err)
	}
	var mu sync.Mutex
	rooms := map[string]*room{}
	get := func(ch string) *room {
		mu.Lock()
		defer mu.Unlock()
		r := rooms[ch]
		if r == nil {
			r = &room{}
			rooms[ch] = r
		}
		return r
	}
	var pubOpts []centrifuge.PublishOption
	if *recovery {
		pubOpts = append(pubOpts, centrifuge.WithHistory(100, 10*time.Minute))
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "u"}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(e centrifuge.SubscribeEvent, cb centrifuge.SubscribeCallback) {
			cb(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: *recovery}}, nil)
		})
		c.OnRPC(func(e centrifuge.RPCEvent, cb centrifuge.RPCCallback) {
			var a struct{ Room, UserID, Text string }
			if e.Method != "sendMessage" || json.Unmarshal(e.Data, &a) != nil {
				cb(centrifuge.RPCReply{}, centrifuge.ErrorBadRequest)
				return
			}
			r := get(a.Room)
			r.Lock()
			_, body := r.Add(a.UserID, a.Text)
			_, err := node.Publish(a.Room, body, pubOpts...)
			r.Unlock()
			cb(centrifuge.RPCReply{Data: body}, err)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin: func(*http.Request) bool { return true },
	}))
	log.Fatal(http.ListenAndServe(*addr, nil))
}
