package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
)

// Peer is one target: how to start its server and which dialect it speaks.
type Peer struct {
	Name    string
	Addr    string
	Cmd     []string // run from Dir
	Dir     string   // relative to the bench directory
	Env     []string
	Dialect Dialect
	Note    string

	// Known limits: scenarios beyond them are skipped (0: none; -all ignores them).
	MaxConns int     // connections that join in reasonable time
	MaxPaced float64 // deliveries per second
}

func nodePeer(name, addr, port string, d Dialect, note string) Peer {
	return Peer{Name: name, Addr: addr, Cmd: []string{"node", name + ".mjs"}, Dir: "servers/node",
		Env: []string{"PORT=" + port, "NODE_ENV=production"}, Dialect: d, Note: note, MaxPaced: 60e3}
}

// also adds another build of servers/troupe, NAME=PATH, to Peers: NAME with the memory
// store and NAME-sqlite, on free ports.
func also(arg string) error {
	name, path, ok := strings.Cut(arg, "=")
	if !ok || name == "" || path == "" {
		return errors.New("want NAME=PATH")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for _, p := range []Peer{
		{Name: name, Cmd: []string{path}, Note: "memory store"},
		{Name: name + "-sqlite", Cmd: []string{path, "-data", "$STATE"}, Note: "SQLite store"},
	} {
		if slices.ContainsFunc(Peers, func(o Peer) bool { return o.Name == p.Name }) {
			return fmt.Errorf("there is a peer %q already", p.Name)
		}
		if p.Addr, err = freeAddr(); err != nil {
			return err
		}
		p.Cmd = append(p.Cmd, "-addr", p.Addr)
		p.Dialect = troupeDialect{}
		Peers = append(Peers, p)
	}
	return nil
}

// freeAddr returns a free address that no peer uses. Its port is below the kernel's
// ephemeral ports, so that the generator's connections cannot take it.
func freeAddr() (string, error) {
	for port := 7100; port < 7200; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if slices.ContainsFunc(Peers, func(p Peer) bool { return p.Addr == addr }) {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no port from 7100 to 7199 is free")
}

// Peers are all targets known to the harness.
var Peers = []Peer{
	{Name: "troupe", Addr: "127.0.0.1:7020", Cmd: []string{"bin/troupe", "-addr", "127.0.0.1:7020"},
		Dialect: troupeDialect{}, Note: "memory store"},
	{Name: "troupe-sqlite", Addr: "127.0.0.1:7021", Cmd: []string{"bin/troupe", "-addr", "127.0.0.1:7021", "-data", "$STATE"},
		Dialect: troupeDialect{}, Note: "SQLite store: durable before anybody sees it"},
	{Name: "epoll", Addr: "127.0.0.1:7003", Cmd: []string{"bin/epoll", "-addr", "127.0.0.1:7003"},
		Dialect: jsonDialect{"/connect"}, Note: "raw write(2) of a prebuilt frame: physical-limit proxy"},
	{Name: "rawcoder", Addr: "127.0.0.1:7001", Cmd: []string{"bin/rawcoder", "-addr", "127.0.0.1:7001"},
		Dialect: jsonDialect{"/connect"}, Note: "bare hub on coder/websocket"},
	{Name: "rawcoder-wt", Addr: "127.0.0.1:7011", Cmd: []string{"bin/rawcoder", "-addr", "127.0.0.1:7011", "-write-timeout", "5s"},
		Dialect: jsonDialect{"/connect"}, Note: "the same with a 5 s context timeout on each write"},
	{Name: "rawcoder-frame", Addr: "127.0.0.1:7012", Cmd: []string{"bin/rawcoder", "-addr", "127.0.0.1:7012", "-batch", "frame"},
		Dialect: jsonDialect{"/connect"}, Note: "the same, what is queued goes out as lines of one WebSocket message"},
	{Name: "rawcoder-cork", Addr: "127.0.0.1:7013", Cmd: []string{"bin/rawcoder", "-addr", "127.0.0.1:7013", "-batch", "cork"},
		Dialect: jsonDialect{"/connect"}, Note: "the same, one message per event but what is queued goes out in one write(2)"},
	{Name: "gws", Addr: "127.0.0.1:7002", Cmd: []string{"bin/gws", "-addr", "127.0.0.1:7002"},
		Dialect: jsonDialect{"/connect"}, Note: "bare hub on lxzan/gws"},
	{Name: "centrifuge", Addr: "127.0.0.1:7004", Cmd: []string{"bin/centrifuge", "-addr", "127.0.0.1:7004"},
		Dialect: centrifugeDialect{}, Note: "JSON protocol, no history"},
	{Name: "centrifuge-rec", Addr: "127.0.0.1:7014", Cmd: []string{"bin/centrifuge", "-addr", "127.0.0.1:7014", "-recovery"},
		Dialect: centrifugeDialect{}, Note: "history 100 + recovery"},
	nodePeer("ws", "127.0.0.1:7005", "7005", jsonDialect{"/"}, "bare hub on npm ws"),
	nodePeer("socketio", "127.0.0.1:7006", "7006", socketioDialect{}, "websocket transport only"),
	nodePeer("colyseus", "127.0.0.1:7007", "7007", colyseusDialect{}, "messages only, no synchronised state"),
	{Name: "workerd", Addr: "127.0.0.1:7008", Cmd: []string{"node_modules/@cloudflare/workerd-linux-64/bin/workerd", "serve", "config.capnp"},
		Dir: "servers/workerd", Dialect: jsonDialect{"/"}, Note: "Durable Object, hibernatable WebSockets, workerd run directly", MaxPaced: 25e3},
	{Name: "rivetkit22", Addr: "127.0.0.1:6520", Cmd: []string{"node", "server.mjs"}, Dir: "servers/rivetkit22",
		Env:     []string{"RIVET_LOG_LEVEL=error", "NODE_ENV=production", "HOME=$STATE", "XDG_DATA_HOME=$STATE"},
		Dialect: rivetkit22Dialect{}, Note: "2.2.1: all in one node process, file-system driver, json encoding", MaxPaced: 60e3},
	{Name: "rivetkit", Addr: "127.0.0.1:6420", Cmd: []string{"node", "server.mjs"}, Dir: "servers/rivetkit",
		Env:     []string{"RIVET_RUN_ENGINE=1", "RIVET_RUN_ENGINE_PORT=6420", "RIVET_LOG_LEVEL=error", "NODE_ENV=production", "HOME=$STATE"},
		Dialect: rivetkitDialect{}, Note: "2.3.x: node runtime + native engine gateway, json encoding", MaxConns: 500, MaxPaced: 400},
}
