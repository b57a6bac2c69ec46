//go:build linux

package crashtest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	pausesFlag = flag.Int("crash.pauses", 0, "how many times TestPauses ends a node in each way; 0 skips it")
	pauseRooms = flag.Int("crash.pauses.rooms", 48, "how many actors TestPauses calls all the time")
	crowdFlag  = flag.Int("crash.pauses.crowd", 0, "how many more actors there are")
)

const (
	inspectToken = "a token of the test that is long enough"
	callGap      = 50 * time.Millisecond // between the calls of an actor
)

// paused is for how long actors did not answer, by what happened.
type paused map[string][]time.Duration

func (p paused) String() string {
	var lines []string
	for kind, all := range p {
		slices.Sort(all)
		at := func(share float64) time.Duration { return all[int(share*float64(len(all)-1))].Round(time.Millisecond) }
		lines = append(lines, fmt.Sprintf("%-55s %5d actors: median %v, p99 %v, max %v", kind, len(all), at(0.5), at(0.99), at(1)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestPauses measures for how long actors pause when their node leaves (SIGTERM) or is killed, and
// when it joins again. A client calls each actor every 50 ms at one of the nodes that stay. It
// repeats a call, with its Idempotency-Key, until it is answered: the longest call is the pause.
func TestPauses(t *testing.T) {
	if *pausesFlag == 0 {
		t.Skip("it measures for minutes: -crash.pauses=10, or make pauses")
	}
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat its choices: -crash.seed=%d", seed)
	c := newNodes(t, buildServer(t), 3, "TROUPE_LOG=debug", "TROUPE_INSPECT=read", "TROUPE_INSPECT_TOKEN="+inspectToken)
	c.addCrowd(*crowdFlag)
	all := paused{}
	for round := range 2 * *pausesFlag {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		if !c.awaitReady() {
			t.Fatalf("the nodes are not ready within %v", settling)
		}
		c.measure(all, r, round%2 == 1)
		t.Logf("after %d rounds:\n%v", round+1, all)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// addCrowd makes actors that nobody uses any more.
func (c *nodes) addCrowd(n int) {
	const atOnce = 64
	var wait sync.WaitGroup
	began := time.Now()
	for i := range atOnce {
		at := c.all[i%len(c.all)].address()
		wait.Go(func() {
			for j := i; j < n; j += atOnce {
				for k, key := (&talker{room: fmt.Sprint("crowd-", j), at: at}), random128(); !k.say(key); {
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	wait.Wait()
	c.t.Logf("%d actors were made in %v", n, time.Since(began))
}

// measure ends a node, which comes back, while clients call actors of all three.
func (c *nodes) measure(all paused, r *rand.Rand, kill bool) {
	kind, how, away := "leave", syscall.SIGTERM, 5*time.Second
	if kill {
		kind, how, away = "kill", syscall.SIGKILL, 6*time.Second+*leaseFlag // an election may take as long
	}
	victim := c.all[r.IntN(len(c.all))]
	var stay []*node
	for _, n := range c.all {
		if n != victim {
			stay = append(stay, n)
		}
	}
	talkers := make([]*talker, *pauseRooms)
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for i := range talkers {
		talkers[i] = &talker{room: fmt.Sprint("pause-", i), at: stay[i%len(stay)].address()}
		wait.Go(func() { talkers[i].run(stop) })
	}
	time.Sleep(time.Second) // all are awake
	elsewhere, err := victim.inspect()
	if err != nil {
		c.t.Error(err)
	}
	moved := map[string]bool{}
	for _, room := range elsewhere {
		moved[room] = true
	}
	logged := make([]int, len(stay))
	for i, n := range stay {
		logged[i] = len(n.log.String())
	}
	ended := time.Now()
	victim.signal(how, away)
	for !victim.isBack(ended) {
		time.Sleep(5 * time.Millisecond)
	}
	back := time.Now()
	elected := elections(stay, logged)
	if kill && elected != "" {
		kind = "kill, with an election"
	}
	if !c.awaitReady() {
		c.t.Errorf("the nodes are not ready within %v", settling)
	}
	c.t.Logf("it had its actors again %v after its start", time.Since(back))
	time.Sleep(time.Second) // the last that it is given are served
	close(stop)
	wait.Wait()

	pauses := paused{}
	for _, talker := range talkers {
		first, then := talker.longest(ended, back)
		whose := "others"
		if moved[talker.room] {
			whose = "its actors"
		}
		pauses[kind+", "+whose] = append(pauses[kind+", "+whose], first)
		pauses["join, all actors"] = append(pauses["join, all actors"], then)
	}
	for what, durations := range pauses {
		all[what] = append(all[what], durations...)
	}
	c.t.Logf("%s: %s, which had %d of the actors; streams with a new leader: %q", kind, victim.name, len(moved), elected)
}

var newLeader = regexp.MustCompile(`new stream leader for '[^']*TROUPE_([JST])'`)

// elections returns the streams of journals (J), snapshots (S) and the table (T) for which NATS has elected other leaders, as nodes have logged it
// since their logs had some lengths.
func elections(nodes []*node, since []int) string {
	var streams []string
	for i, n := range nodes {
		for _, found := range newLeader.FindAllStringSubmatch(n.log.String()[since[i]:], -1) {
			streams = append(streams, found[1])
		}
	}
	slices.Sort(streams)
	return strings.Join(slices.Compact(streams), " ")
}

// isBack reports whether the process was started again after a time.
func (n *node) isBack(after time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.begun.After(after)
}

// inspect returns the rooms that are awake on a node.
func (n *node) inspect() (rooms []string, err error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+n.debug+"/inspect/api/actors?limit=1000&name=chatRoom", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+inspectToken)
	response, err := patient.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	var page struct {
		Actors []struct{ Key []string }
	}
	if err = errors.Join(err, response.Body.Close(), json.Unmarshal(body, &page)); err == nil && len(page.Actors) == 0 {
		err = fmt.Errorf("no rooms: %s %s", response.Status, body)
	}
	for _, a := range page.Actors {
		rooms = append(rooms, a.Key[0])
	}
	return rooms, err
}

// talker calls an actor again and again.
type talker struct {
	room, at string
	calls    []timed
}

type timed struct {
	begin time.Time
	took  time.Duration
}

func (k *talker) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(callGap):
		}
		begin, key := time.Now(), random128()
		for !k.say(key) {
			time.Sleep(5 * time.Millisecond)
		}
		k.calls = append(k.calls, timed{begin, time.Since(begin)})
	}
}

// say calls the actor, and reports whether it was answered.
func (k *talker) say(key string) bool {
	url := fmt.Sprintf("http://%s/api/actors/chatRoom/actions/sendMessage?key=%s", k.at, k.room)
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"args":["pat","hello"]}`))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := talking.Do(request)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close()) == nil && response.StatusCode == http.StatusOK
}

// talking keeps a connection for each talker.
var talking = http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}, Timeout: settling}

// longest returns the longest calls that were made, or under way, between a node's end and its
// return, and of those after that.
func (k *talker) longest(ended, back time.Time) (first, then time.Duration) {
	for _, call := range k.calls {
		switch {
		case call.begin.After(back):
			then = max(then, call.took)
		case call.begin.Add(call.took).After(ended):
			first = max(first, call.took)
		}
	}
	return first, then
}
