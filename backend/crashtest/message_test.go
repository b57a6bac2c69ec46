package crashtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// purse sends money to others, and has alarms that count.
type purse struct {
	Balance  int              `json:"balance"`
	Sent     int64            `json:"sent"`     // the number of its newest payment
	Received map[string]int64 `json:"received"` // likewise, by sender
	Payments int              `json:"payments"` // how many it has received
	Disorder int              `json:"disorder"`
	Rang     map[string]int   `json:"rang"` // how often each alarm has run
}

// payment has a number that is above those of all earlier ones of its sender, also in the
// sender's earlier lives.
type payment struct {
	N      int64 `json:"n"`
	Amount int   `json:"amount"`
}

// paid is the event of a payment that has come.
type paid struct {
	Payments int `json:"payments"`
}

type ring struct {
	Name string `json:"name"`
}

// Pay sends money to another purse.
func (p *purse) Pay(c *actor.Context[actor.NoState], to string, amount int) {
	p.Sent = max(p.Sent+1, c.Now().UnixMicro())
	p.Balance -= amount
	c.Send(actor.Of("purse", to), payment{p.Sent, amount})
}

// SetAlarm schedules an alarm.
func (p *purse) SetAlarm(c *actor.Context[actor.NoState], name string, ms int) {
	c.Schedule(c.Now().Add(time.Duration(ms)*time.Millisecond), ring{name})
}

// Break destroys the purse, in the turn in which it pays another one what it has.
func (p *purse) Break(c *actor.Context[actor.NoState], to string) {
	p.Pay(c, to, p.Balance)
	c.Destroy()
}

// poison ends the process of who gets it.
type poison struct{}

// poisoned is the exit status of a process that poison has ended.
const poisoned = 99

// Poison sends it to another purse.
func (p *purse) Poison(c *actor.Context[actor.NoState], to string) {
	c.Send(actor.Of("purse", to), poison{})
}

func (p *purse) poison(*actor.Context[actor.NoState], poison) error {
	os.Exit(poisoned)
	return nil
}

// Parked returns how many messages are parked.
func (p purse) Parked(c *actor.Context[actor.NoState]) (n int) {
	for m := range c.Scheduled() {
		if m.Parked != "" {
			n++
		}
	}
	return n
}

// Look returns all of it.
func (p purse) Look(*actor.Context[actor.NoState]) purse { return p }

func (p *purse) payment(c *actor.Context[actor.NoState], m payment) error {
	p.Payments++
	c.Broadcast(paid{p.Payments})
	from, _ := c.Sender()
	if last := p.Received[from.Key[0]]; last >= m.N {
		p.Disorder++
	}
	if p.Received == nil {
		p.Received = map[string]int64{}
	}
	p.Received[from.Key[0]] = m.N
	p.Balance += m.Amount
	return nil
}

func (p *purse) ring(_ *actor.Context[actor.NoState], m ring) error {
	if p.Rang == nil {
		p.Rang = map[string]int{}
	}
	p.Rang[m.Name]++
	return nil
}

// OnUndelivered takes the money back.
func (p *purse) OnUndelivered(_ *actor.Context[actor.NoState], u actor.Undelivered) {
	var m payment
	if u.As(&m) {
		p.Balance += m.Amount
	}
}

// servePurses is the environment variable that makes the test's binary a server of purses.
const servePurses = "TROUPE_CRASHTEST_PURSES"

var purses = actor.NewRegistry(actor.Define[purse]("purse", actor.Emits[paid](), actor.Handles((*purse).payment),
	actor.Handles((*purse).ring), actor.Handles((*purse).poison)))

// purseClient does not wait long for a node that is stopped.
var purseClient = http.Client{Timeout: 10 * time.Second}

func purseCall(s system, result any, key, action, idempotency string, args ...any) error {
	return actorCall(s, result, "purse", key, action, idempotency, args...)
}

// actorCall calls an action until it has an answer: it has one effect. If that was in a life
// of the actor that is over, its result is lost.
func actorCall(s system, result any, name, key, action, idempotency string, args ...any) error {
	body, err := json.Marshal(map[string]any{"args": append([]any{}, args...)})
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(settling); ; time.Sleep(5 * time.Millisecond) {
		err = func() error {
			url := fmt.Sprintf("http://%s/api/actors/%s/actions/%s?key=%s", s.address(), name, action, key)
			request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
			if err != nil {
				return err
			}
			request.Header.Set("Content-Type", "application/json")
			if idempotency != "" {
				request.Header.Set("Idempotency-Key", idempotency)
			}
			response, err := purseClient.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			answer, err := io.ReadAll(response.Body)
			if idempotency != "" && bytes.Contains(answer, []byte(`"code":"ran"`)) {
				return nil
			}
			if err == nil && response.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: %s", response.Status, answer)
			}
			if err != nil || result == nil {
				return err
			}
			return json.Unmarshal(answer, &struct{ Result any }{result})
		}()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// After any number of crashes, money is conserved, each alarm has rung once (G11), and
// payments have come in their order (G12), also to and from purses that are destroyed now and
// then.
func TestG12_MessagesAndCrashes(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat its choices: -crash.seed=%d", seed)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newServerOf(t, binary)
	s.env = []string{servePurses + "=1"}
	s.start()
	r := rand.New(rand.NewPCG(seed, 200))
	runPurses(t, s, seed, func(settle func()) {
		for i := range *roundsFlag * 3 {
			time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
			if i%3 == 2 {
				s.stop()
			} else {
				s.kill()
			}
			s.start()
			if i%3 == 2 {
				settle()
			}
		}
	})
}

// runPurses has purses pay each other and set alarms while something breaks the system, and
// then counts. breaks has to call settle, which waits until nothing is on its way and counts, after
// two ends of processes: what is on its way at three of them is parked.
func runPurses(t *testing.T, s system, seed uint64, breaks func(settle func())) {
	payers, jars := []string{"a", "b", "c", "d"}, []string{"jar", "tin"} // jars are broken now and then
	all := slices.Concat(payers, jars)
	var mu sync.Mutex
	payments, broken, alarms := 0, 0, map[string]string{} // whose an alarm is
	done := make(chan struct{})
	var calling sync.RWMutex // held for writing: no call is made
	var load sync.WaitGroup
	for i := range 8 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(r.IntN(30)) * time.Millisecond):
				}
				id, payer, jar, x := fmt.Sprintf("%d-%d", i, n), payers[r.IntN(len(payers))], jars[r.IntN(len(jars))], r.IntN(20)
				calling.RLock()
				var err error
				switch { // what a jar pays is not refused: it would come back to nobody
				case x < 9:
					err = purseCall(s, nil, payer, "pay", id, all[r.IntN(len(all))], 1+r.IntN(50))
				case x < 12:
					err = purseCall(s, nil, jar, "pay", id, payer, 1+r.IntN(50))
				case x < 19:
					err = purseCall(s, nil, payer, "setAlarm", id, id, r.IntN(500))
				default:
					err = purseCall(s, nil, jar, "break", id, payer)
				}
				mu.Lock()
				switch {
				case err != nil:
					t.Errorf("call %s of %s or %s: %v", id, payer, jar, err)
				case x < 12:
					payments++
				case x < 19:
					alarms[id] = payer
				default:
					broken++
				}
				mu.Unlock()
				calling.RUnlock()
			}
		})
	}
	breaks(func() {
		calling.Lock()
		defer calling.Unlock()
		checkPurses(t, s, all, alarms)
	})
	close(done)
	load.Wait()
	checkPurses(t, s, all, alarms)
	s.restart(&totals{})
	checkPurses(t, s, all, alarms)
	t.Logf("%d payments, %d alarms; %d jars were broken", payments, len(alarms), broken)
}

// checkPurses waits until nothing is on its way, and compares what purses have with what
// was done.
func checkPurses(t *testing.T, s system, names []string, alarms map[string]string) {
	t.Helper()
	for deadline := time.Now().Add(settling); ; time.Sleep(20 * time.Millisecond) {
		sum, rang := 0, map[string]int{}
		var wrong []string
		for _, name := range names {
			var p purse
			if err := purseCall(s, &p, name, "look", ""); err != nil {
				t.Fatal(err)
			}
			sum += p.Balance
			for id, n := range p.Rang {
				if rang[id] += n; n != 1 || alarms[id] != name {
					wrong = append(wrong, fmt.Sprintf("alarm %s of %q has rung %d times at %s", id, alarms[id], n, name))
				}
			}
			if p.Disorder > 0 {
				wrong = append(wrong, fmt.Sprintf("%d payments to %s were out of order", p.Disorder, name))
			}
		}
		for _, w := range wrong {
			t.Error(w)
		}
		if len(wrong) > 0 || sum == 0 && len(rang) == len(alarms) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("there is %d too much; %d of %d alarms have rung", sum, len(rang), len(alarms))
			return
		}
	}
}
