//go:build linux

package crashtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// account is a purse as the next binary has it: its balance has another name.
type account struct {
	Balance  int              `json:"money"`
	Sent     int64            `json:"sent"`
	Received map[string]int64 `json:"received"`
	Payments int              `json:"payments"`
	Disorder int              `json:"disorder"`
	Rang     map[string]int   `json:"rang"`
}

func (a *account) Pay(c *actor.Context[actor.NoState], to string, amount int) {
	(*purse)(a).Pay(c, to, amount)
}

func (a *account) SetAlarm(c *actor.Context[actor.NoState], name string, ms int) {
	(*purse)(a).SetAlarm(c, name, ms)
}

func (a *account) Break(c *actor.Context[actor.NoState], to string) { (*purse)(a).Break(c, to) }

func (a account) Look(*actor.Context[actor.NoState]) purse { return purse(a) }

func (a *account) payment(c *actor.Context[actor.NoState], m payment) error {
	return (*purse)(a).payment(c, m)
}

func (a *account) ring(c *actor.Context[actor.NoState], m ring) error { return (*purse)(a).ring(c, m) }

func (a *account) OnUndelivered(c *actor.Context[actor.NoState], u actor.Undelivered) {
	(*purse)(a).OnUndelivered(c, u)
}

// serveAccounts is the environment variable that makes the test's binary the next version of a
// server of purses.
const serveAccounts = "TROUPE_CRASHTEST_ACCOUNTS"

var accounts = actor.NewRegistry(actor.Define[account]("purse", actor.Version(1, actor.Rename("balance", "money")),
	actor.Emits[paid](), actor.Handles((*account).payment), actor.Handles((*account).ring)))

func init() { registries[serveAccounts] = accounts } // only this system has clusters of the tests

// G5, G11, G12, combination 6: nodes get a binary that renames a field, one after the other, then
// the old one again, then the new one, under payments, alarms and open clients. What the new one
// has changed waits while all are old; other actors work; and nothing is lost or comes twice.
func TestG12_NodesDeploy(t *testing.T) {
	c, seed := startNodes(t, servePurses+"=1")
	r := rand.New(rand.NewPCG(seed, 300))
	g := &group{name: "deploy", url: "ws://" + c.address() + "/api/socket?v=1", away: 50 * time.Millisecond, refuses: true, events: make(chan struct{})}
	follower := newFollower(g, "follower", seed, "a", "b")
	defer follower.end()
	deploys := max(1, *roundsFlag/4)
	runPurses(t, c, seed, func(settle func()) {
		for i := range deploys {
			begin := time.Now()
			for _, version := range []string{serveAccounts, servePurses, serveAccounts} {
				for _, some := range r.Perm(len(c.all)) {
					time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
					if !c.deploy(some, version+"=1") {
						t.Errorf("after the deploy of node %d: the nodes are not ready within %v", some, settling)
						return
					}
				}
				if version == servePurses {
					checkRolledBack(t, c, fmt.Sprint("new", i))
				}
			}
			settle()
			t.Logf("%d deploys, each forth, back and forth, the last in %v", i+1, time.Since(begin).Round(time.Second))
		}
	})
	follower.checkPaid(t, c)
}

// deploy ends a node, has others take its actors, and starts another binary. It reports whether all
// are ready then.
func (c *nodes) deploy(some int, env string) bool {
	n := c.all[some]
	n.locked(func() bool { n.env = append(slices.Clone(n.env[:len(n.env)-1]), env); return true }) // instead of the one that newNodes got
	before := n.address()
	c.end(syscall.SIGTERM, []int{some}, 0)
	for n.address() == before { // it answers until it ends
		time.Sleep(time.Millisecond)
	}
	return c.awaitReady()
}

// checkRolledBack checks that old binaries leave alone what the new one has changed, and that a new
// actor works.
func checkRolledBack(t *testing.T, c *nodes, other string) {
	for name, want := range map[string]int{"a": http.StatusServiceUnavailable, other: http.StatusOK} {
		got := 0
		for deadline := time.Now().Add(settling); got != want && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			url := fmt.Sprintf("http://%s/api/actors/purse/actions/look?key=%s", c.address(), name)
			response, err := purseClient.Post(url, "application/json", strings.NewReader(`{"args":[]}`))
			if err != nil {
				continue // a link that has ended with its node
			}
			_ = response.Body.Close()
			if got = response.StatusCode; want == http.StatusServiceUnavailable && got == http.StatusOK {
				break
			}
		}
		if got != want {
			t.Errorf("while all nodes have the old binary, purse %s: got %d, want %d", name, got, want)
		}
	}
}

// newFollower returns a client that follows the payments to two purses.
func newFollower(g *group, name string, seed uint64, first, second string) *client {
	c := newIdleClient(g, name, seed)
	c.chat, c.game = c.connect("purse", first, nil, "paid"), c.connect("purse", second, nil, "paid")
	c.start()
	return c
}

// checkPaid compares the events that came with the payments that the purses have.
func (c *client) checkPaid(t *testing.T, s system) {
	for _, k := range []*connection{c.chat, c.game} {
		var p purse
		if err := purseCall(s, &p, k.key, "look", ""); err != nil {
			t.Error(err)
			continue
		}
		events := func() (n []int) {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, m := range k.events {
				var e paid
				_ = json.Unmarshal(m.Data, &e)
				n = append(n, e.Payments)
			}
			return n
		}
		for deadline := time.Now().Add(settling); ; time.Sleep(20 * time.Millisecond) {
			got := events()
			if len(got) > 0 && got[len(got)-1] >= p.Payments {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("the follower of %s has %d events, want the one of payment %d", k.key, len(got), p.Payments)
				break
			}
		}
		got := events()
		for i, n := range got {
			if n != got[0]+i {
				t.Errorf("the follower of %s saw payment %d in place of %d", k.key, n, got[0]+i)
				break
			}
		}
		t.Logf("the follower of %s saw %d of %d payments and came back %d times", k.key, len(got), p.Payments, k.resumes)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fault := range c.faults {
		t.Error(fault)
	}
}
