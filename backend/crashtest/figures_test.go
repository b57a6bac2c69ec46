//go:build linux

package crashtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/wire"
)

var figuresFlag = flag.Bool("crash.figures", false, "measure three nodes beside one with SQLite in TestFigures")

// TestFigures measures three nodes of a cluster beside one node with SQLite, all on this machine:
// what they use while nobody does anything, calls that write, and events.
func TestFigures(t *testing.T) {
	if !*figuresFlag {
		t.Skip("it measures for a minute: -crash.figures, or make figures")
	}
	one := newServer(t)
	one.start()
	three := newNodes(t, buildServer(t), 3, "TROUPE_INSPECT=read", "TROUPE_INSPECT_TOKEN="+inspectToken)
	single, cluster := []int{one.process.Process.Pid}, []int(nil)
	for _, n := range three.all {
		cluster = append(cluster, n.cmd.Process.Pid)
	}
	three.awaitLeaders()

	const idle = 10 * time.Second
	before := [2]time.Duration{cpuOf(t, single), cpuOf(t, cluster)}
	time.Sleep(idle)
	for i, pids := range [][]int{single, cluster} {
		n := float64(len(pids))
		t.Logf("idle, %d nodes: each %.1f MB resident, %.2f %% of a processor", len(pids), residentMB(t, pids)/n,
			100*(cpuOf(t, pids)-before[i]).Seconds()/idle.Seconds()/n)
	}
	for _, actors := range []int{1, 64, 1000} {
		var cost [2]float64
		for i, addresses := range [][]string{{one.address()}, three.addresses()} {
			pids := [][]int{single, cluster}[i]
			before := cpuOf(t, pids)
			count, times := load(addresses, actors, 8*time.Second)
			cost[i] = float64((cpuOf(t, pids) - before).Microseconds()) / float64(count)
			t.Logf("calls that write, %d actors, %d nodes: %.0f/s, p50 %v, p99 %v, %.0f us of processors each", actors, len(pids), float64(count)/8,
				quantile(times, 0.5), quantile(times, 0.99), cost[i])
		}
		t.Logf("calls that write, %d actors: %.2f times the processors", actors, cost[1]/cost[0])
	}
	three.measureEvents()
}

// awaitLeaders waits until the nodes have gathered the leaders of their streams. Nothing says when:
// they look about every twenty seconds.
func (c *nodes) awaitLeaders() { time.Sleep(25 * time.Second) }

// load has as many actors called, one call after the other, for a time. It returns how many calls
// there were, and how long each took.
func load(addresses []string, actors int, lasts time.Duration) (count int, times []time.Duration) {
	talkers := make([]*talker, actors)
	var wait sync.WaitGroup
	var over atomic.Bool
	time.AfterFunc(lasts, func() { over.Store(true) })
	for i := range talkers {
		talkers[i] = &talker{room: fmt.Sprint("load-", actors, "-", i), at: addresses[i%len(addresses)]}
		wait.Go(func() {
			for !over.Load() {
				begin := time.Now()
				if talkers[i].say(random128()) {
					talkers[i].calls = append(talkers[i].calls, timed{begin, time.Since(begin)})
				}
			}
		})
	}
	wait.Wait()
	for _, k := range talkers {
		for _, call := range k.calls {
			times = append(times, call.took)
		}
	}
	slices.Sort(times)
	return len(times), times
}

// quantile returns the time that a share of sorted times does not exceed.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(share*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

// measureEvents posts messages to a room at its owner, and measures when followers there and on
// another node get them.
func (c *nodes) measureEvents() {
	const room, messages = "events", 1000
	first := &talker{room: room, at: c.all[0].address()}
	for !first.say(random128()) {
		time.Sleep(5 * time.Millisecond)
	}
	owner := slices.IndexFunc(c.all, func(n *node) bool {
		rooms, _ := n.inspect() // a node without rooms is an error
		return slices.Contains(rooms, room)
	})
	if owner < 0 {
		c.t.Fatal("no node has the room")
	}
	here, there := c.all[owner], c.all[(owner+1)%len(c.all)]
	followers := []chan time.Time{c.follow(here, room), c.follow(there, room)}
	at := &talker{room: room, at: here.address()}
	times := make([][]time.Duration, 3)
	for range messages {
		time.Sleep(2 * time.Millisecond)
		begin := time.Now()
		if !at.say(random128()) {
			c.t.Fatal("a call failed")
		}
		var got [2]time.Time
		for i, f := range followers {
			select {
			case got[i] = <-f:
			case <-time.After(settling):
				c.t.Fatal("an event did not arrive")
			}
			times[i] = append(times[i], got[i].Sub(begin))
		}
		times[2] = append(times[2], got[1].Sub(got[0]))
	}
	for i, what := range []string{"from the call to a follower on the owner's node", "from the call to a follower on another node", "by how much that is later"} {
		slices.Sort(times[i])
		c.t.Logf("an event, %s: p50 %v, p99 %v", what, quantile(times[i], 0.5), quantile(times[i], 0.99))
	}
}

// follow returns a channel that gets a time for each message of a room which a node sends.
func (c *nodes) follow(at *node, room string) chan time.Time {
	ctx := c.t.Context()
	ws, _, err := websocket.Dial(ctx, "ws://"+at.address()+"/api/socket?v=1", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = ws.CloseNow() })
	ws.SetReadLimit(-1)
	send := func(m wire.ClientMessage) {
		data, err := json.Marshal(m)
		if err == nil {
			err = ws.Write(ctx, websocket.MessageText, data)
		}
		if err != nil && ctx.Err() == nil {
			c.t.Error(err)
		}
	}
	key, _ := json.Marshal([]string{room})
	send(wire.ClientMessage{
		Type: wire.TypeOpen, Channel: 1, N: 1, Actor: "chatRoom", Key: key, Params: json.RawMessage(`{"userId":"fan","name":"a fan"}`),
		Subs: []string{"messageReceived"}, Secret: random128(), Caller: random128(),
	})
	got, opened := make(chan time.Time, 1000), make(chan struct{})
	go func() {
		for {
			_, frame, err := ws.Read(ctx)
			now := time.Now()
			if err != nil {
				return
			}
			if frame[0] != '[' {
				frame = append(append([]byte{'['}, frame...), ']')
			}
			var messages []wire.ServerMessage
			if err := json.Unmarshal(frame, &messages); err != nil {
				c.t.Error(err)
			}
			for _, m := range messages {
				switch m.Type {
				case wire.TypeBeat:
					send(wire.ClientMessage{Type: wire.TypeBeat})
				case wire.TypeOpened:
					close(opened)
				case wire.TypeEvent:
					got <- now
				case wire.TypeClosed, wire.TypeError:
					c.t.Errorf("a follower got %s", frame)
				}
			}
		}
	}()
	select {
	case <-opened:
	case <-time.After(settling):
		c.t.Fatal("a channel was not opened")
	}
	return got
}

// cpuOf returns how long processes have run on processors so far.
func cpuOf(t *testing.T, pids []int) (total time.Duration) {
	t.Helper()
	const user, system, tick = 11, 12, 10 * time.Millisecond // counted from behind the name
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, i := range []int{user, system} {
			n, err := strconv.Atoi(fields[i])
			if err != nil {
				t.Fatal(err)
			}
			total += time.Duration(n) * tick
		}
	}
	return total
}

// residentMB returns how much memory processes have, in MB.
func residentMB(t *testing.T, pids []int) (total float64) {
	t.Helper()
	for _, pid := range pids {
		statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			t.Fatal(err)
		}
		pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
		if err != nil {
			t.Fatal(err)
		}
		total += float64(pages*os.Getpagesize()) / 1e6
	}
	return total
}
