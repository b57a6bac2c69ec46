package crashtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	roundsFlag = flag.Int("crash.rounds", 4, "how many times to break the server and see; hundreds take minutes")
	awayFlag   = flag.Duration("crash.away", time.Second, "how long a client stays away at most, which a few do")
	seedFlag   = flag.Uint64("crash.seed", 0, "seed of the random choices; 0: another one each time")
)

// Parameters of a round.
const (
	clients  = 24
	rooms    = 4
	calls    = 28                     // of each client to its chat room: a room keeps all of them
	pace     = 25 * time.Millisecond  // between them, on average
	settling = 60 * time.Second       // after the last fault, until every client has everything
	faultGap = 300 * time.Millisecond // between crashes, at most

	// smallJournal is the size of the journal in some rounds: more than one round
	// writes, since no client may lose events, and less than two, so that the server
	// keeps snapshotting and trimming.
	smallJournal = 1 << 20
)

// system is what a test breaks: a server, or several nodes.
type system interface {
	address() string // host:port for calls over HTTP
	vary(r *rand.Rand)
	crash(g *group, r *rand.Rand, sum *totals) // breaks something, and mends it
	restart(sum *totals)                       // kills all of it: what comes then has only the disks' data
}

// group is the clients and rooms of one round.
type group struct {
	name    string
	url     string
	pace    time.Duration // between the calls of a client to its chat room, on average
	away    time.Duration // how long a client without a socket waits at least
	refuses bool          // calls may be refused: the clients make them again
	during  func() func() // called when all have joined; what it returns is called in the end
	clients []*client
	events  chan struct{}
}

// room returns the room of a client, whose name ends in a number.
func (g *group) room(client string) string {
	n := 0
	fmt.Sscanf(client[len(client)-2:], "%d", &n)
	return fmt.Sprint(g.name, "-", n%rooms)
}

// sawEvent signals that a client has received an event, if crash waits for one.
func (g *group) sawEvent() {
	select {
	case g.events <- struct{}{}:
	default:
	}
}

// totals count what was done and checked.
type totals struct {
	calls, events, sockets, resumes int
	kills, stops, pauses, cuts      int // of servers, and of the links between them
	power, full                     int // losses of power, and full disks
	reads                           int
}

// G3, G5, G6: after any number of crashes and cuts, every acknowledged action is
// in the state once, every client has seen its events once and in order, and no client
// has seen an event that is not in the state.
func TestG6_Crashes(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat its choices: -crash.seed=%d", seed)
	s := newServer(t)
	s.start()
	p := newProxy(t, s.address)
	var sum totals
	begin := time.Now()
	for round := range *roundsFlag {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		runRound(t, s, p, r, &group{name: fmt.Sprint("round", round), pace: pace}, &sum)
		if t.Failed() {
			t.Fatalf("in round %d of seed %d", round, seed)
		}
		if (round+1)%10 == 0 {
			t.Logf("%d rounds in %v: %+v, %d links cut", round+1, time.Since(begin).Round(time.Second), sum, p.cuts)
		}
	}
	t.Logf("%d rounds: %+v, %d links cut", *roundsFlag, sum, p.cuts)
	if sum.kills == 0 || sum.resumes == 0 {
		t.Error("the server was never killed, or no client came back")
	}
}

func runRound(t *testing.T, s system, p *proxy, r *rand.Rand, g *group, sum *totals) {
	g.url, g.events = "ws://"+p.listener.Addr().String()+"/api/socket?v=1", make(chan struct{})
	for i := range clients {
		g.clients = append(g.clients, newClient(g, fmt.Sprintf("%s-%02d", g.name, i), r.Uint64()))
	}
	s.vary(r)
	defer func() {
		for _, c := range g.clients {
			c.end()
		}
	}()
	// Whispers reach connected clients only: all join before the first one.
	if !g.await(func(c *client) bool { return c.chat.id != "" && c.game.id != "" }) {
		t.Fatalf("some clients could not join: %v", g.faults())
	}

	if g.during != nil {
		defer g.during()()
	}
	var load sync.WaitGroup
	for i, c := range g.clients {
		seed := r.Uint64()
		load.Go(func() { talk(c, g.clients, i, rand.New(rand.NewPCG(seed, 2))) })
	}
	calm := make(chan struct{})
	var cutting sync.WaitGroup
	cutter := rand.New(rand.NewPCG(r.Uint64(), 3))
	cutting.Go(func() { cutLinks(p, cutter, calm) })
	for range 3 {
		s.crash(g, r, sum)
	}
	load.Wait()
	close(calm)
	cutting.Wait()

	settled := g.await(func(c *client) bool {
		return len(c.chat.pending)+len(c.chat.refused)+len(c.game.pending)+len(c.game.refused) == 0 &&
			len(c.chat.events) >= clients/rooms*calls && len(c.game.events) >= len(whispersTo(g.clients, c))
	})
	s.restart(sum)
	if !settled {
		t.Errorf("some clients did not get everything within %v", settling)
	}
	g.check(t, s)
	for _, c := range g.clients {
		c.mu.Lock()
		sum.calls += len(c.chat.replies) + len(c.game.replies)
		sum.events += len(c.chat.events) + len(c.game.events)
		sum.sockets += c.sockets
		sum.resumes += c.chat.resumes + c.game.resumes
		c.mu.Unlock()
	}
}

// talk makes a client's calls, at random moments.
func talk(c *client, all []*client, i int, r *rand.Rand) {
	for n := range calls {
		time.Sleep(time.Duration(r.Int64N(int64(2 * c.group.pace))))
		text := fmt.Sprint(c.name, " says ", n)
		c.chat.call(text, "sendMessage", c.name, text)
		if n%4 == 0 {
			to := all[(i+1+r.IntN(len(all)-1))%len(all)]
			text := fmt.Sprint(c.name, " whispers ", n, " to ", to.name)
			c.game.call(text, "sendPrivateMessage", to.name, text)
		}
	}
}

// cutLinks cuts links at random moments.
func cutLinks(p *proxy, r *rand.Rand, calm <-chan struct{}) {
	for {
		select {
		case <-calm:
			return
		case <-time.After(time.Duration(r.IntN(40)) * time.Millisecond):
		}
		if r.IntN(50) == 0 {
			p.cutAll()
		} else {
			p.cutOne(r)
		}
	}
}

// moment waits until a random moment, or until a client has received an event.
func (g *group) moment(r *rand.Rand) {
	time.Sleep(time.Duration(r.Int64N(int64(faultGap))))
	if r.IntN(2) == 0 {
		select {
		case <-g.events:
		case <-time.After(faultGap):
		}
	}
}

// vary gives the server a small journal in half of the rounds, from its first crash on.
func (s *server) vary(r *rand.Rand) {
	if s.journal = 0; r.IntN(2) == 0 {
		s.journal = smallJournal
	}
}

// crash ends the server and starts it again.
func (s *server) crash(g *group, r *rand.Rand, sum *totals) {
	s.t.Helper()
	g.moment(r)
	if r.IntN(5) == 0 {
		s.stop()
		sum.stops++
	} else {
		s.kill()
		sum.kills++
	}
	s.start()
}

func (s *server) restart(sum *totals) {
	s.kill()
	sum.kills++
	s.start()
}

// await waits until all clients are as wanted.
func (g *group) await(wanted func(*client) bool) bool {
	deadline := time.Now().Add(settling)
	for _, c := range g.clients {
		for {
			c.mu.Lock()
			ok, faulty := wanted(c), len(c.faults) > 0
			c.mu.Unlock()
			if ok {
				break
			}
			if faulty || time.Now().After(deadline) {
				return false
			}
			time.Sleep(time.Millisecond)
		}
	}
	return true
}

func (g *group) faults() []string {
	var faults []string
	for _, c := range g.clients {
		c.mu.Lock()
		faults = append(faults, c.faults...)
		c.mu.Unlock()
	}
	return faults
}

// check compares the acknowledged calls, the events seen and the states.
func (g *group) check(t *testing.T, s system) {
	t.Helper()
	for _, fault := range g.faults() {
		t.Error(fault)
	}
	for i := range rooms {
		room := fmt.Sprint(g.name, "-", i)
		state, err := messages(s.address(), room)
		for deadline := time.Now().Add(settling); err != nil && g.refuses && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond) // the actor is moving between nodes
			state, err = messages(s.address(), room)
		}
		if err != nil {
			t.Errorf("the state of room %s: %v", room, err)
			continue
		}
		g.checkRoom(t, room, state)
	}
	for _, c := range g.clients {
		c.mu.Lock()
		var got []string
		for _, e := range c.game.events {
			var whisper struct{ Message string }
			_ = json.Unmarshal(e.Data, &whisper)
			got = append(got, whisper.Message)
		}
		c.mu.Unlock()
		want := whispersTo(g.clients, c)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s got the whispers %q, want %q", c.name, got, want)
		}
	}
}

func (g *group) checkRoom(t *testing.T, room string, state []message) {
	t.Helper()
	inState := map[string]message{} // by text
	for _, m := range state {
		if other, twice := inState[m.Text]; twice {
			t.Errorf("%q is in the state of %s twice, as %s and %s", m.Text, room, other.ID, m.ID)
		}
		inState[m.Text] = m
		if m.Name != "the "+m.UserID {
			t.Errorf("%q is by %q, whose connection state was %q", m.Text, m.UserID, m.Name)
		}
	}
	asked := 0
	for _, c := range g.clients {
		if c.chat.key != room {
			continue
		}
		c.mu.Lock()
		asked += len(c.chat.replies) + len(c.chat.pending) + len(c.chat.refused)
		for _, call := range c.chat.replies {
			var m message
			if err := json.Unmarshal(call.result, &m); err != nil || m.ID == "" || inState[call.text].ID != m.ID {
				t.Errorf("%s got %q acknowledged (%s), the state has %+v", c.name, call.text, call.result, inState[call.text])
			}
		}
		for i := range max(len(state), len(c.chat.events)) {
			var got, want message
			if i < len(c.chat.events) {
				_ = json.Unmarshal(c.chat.events[i].Data, &got)
			}
			if i < len(state) {
				want = state[i]
			}
			if got != want {
				t.Errorf("%s: message %d of %s: saw %+v (of %d), the state has %+v (of %d)", c.name, i, room, got, len(c.chat.events), want, len(state))
				break
			}
		}
		c.mu.Unlock()
	}
	if len(state) != asked {
		t.Errorf("%s has %d messages, %d were said", room, len(state), asked)
	}
}

// whispersTo returns the whispers to a client.
func whispersTo(all []*client, to *client) []string {
	var texts []string
	for _, c := range all {
		if c == to {
			continue // whispers go to others; and await holds its mutex
		}
		c.mu.Lock()
		for _, calls := range [][]*call{c.game.replies, c.game.pending, c.game.refused} {
			for _, call := range calls {
				if call.args[0] == to.name {
					texts = append(texts, call.text)
				}
			}
		}
		c.mu.Unlock()
	}
	return texts
}
