package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// frail has hooks and actions that fail for the params of a connection, or for the
// argument of a call.
type frail struct{ N int }

var errSecret = errors.New("the register at 10.0.0.7 is down")

type nilError struct{}

func (*nilError) Error() string { return "never" }

func failIf(what string, p memberParams) error {
	switch p.Name {
	case what:
		return errSecret
	case "panic in " + what:
		panic(errSecret)
	case "refusal of " + what:
		return actor.Errorf("full", "the room is full")
	}
	return nil
}

func (*frail) OnAuth(_ context.Context, r *actor.AuthRequest) (string, error) {
	var p memberParams
	r.Params(&p)
	return "", failIf("OnAuth", p)
}

func (*frail) OnBeforeConnect(_ *actor.ConnectContext, p memberParams) error {
	return failIf("OnBeforeConnect", p)
}

func (*frail) CreateConnState(_ *actor.ConnectContext, p memberParams) (member, error) {
	return member(p), failIf("CreateConnState", p)
}

func (*frail) OnConnect(c *actor.Context[member]) error {
	return failIf("OnConnect", memberParams(c.Conn().State()))
}

func (*frail) CanPlay(*actor.Context[member]) {}

func (*frail) Fails(*actor.Context[member]) error { return failIf("fails", memberParams{"fails"}) }

func (*frail) Nil(*actor.Context[member]) error {
	var e *nilError
	return e
}

func (*frail) Pointer(c *actor.Context[member])    { c.Broadcast(&note{"x"}) }
func (*frail) Undeclared(c *actor.Context[member]) { c.Broadcast(&added{"x", 1}) }
func (*frail) NilEvent(c *actor.Context[member])   { c.Broadcast(nil) }
func (*frail) Helper(int)                          {}

var (
	frails   = actor.NewRegistry(actor.Define[frail]("frail", actor.Emits[note]()))
	frailRef = host.Ref{Name: "frail", Key: host.Key{"a"}}
)

// TestAHookThatFailsRefuses: whatever a hook that decides about connections returns, a
// client that was never connected does not try for ever; one that was does. Text and log
// name the hook, and the client learns the cause in check mode only.
func TestAHookThatFailsRefuses(t *testing.T) {
	for _, hook := range []string{"OnBeforeConnect", "CreateConnState", "OnConnect"} {
		for _, kind := range []string{"", "panic in ", "refusal of "} {
			for _, check := range []bool{false, true} {
				t.Run(kind+hook, func(t *testing.T) {
					inBubble(t, func(t *testing.T) {
						b := &bench{t: t, store: newBench(t, nil, frails).store, reg: frails, check: check}
						b.start()
						t.Cleanup(b.stop)
						for _, resume := range []bool{false, true} {
							req := as(kind + hook)
							req.Resume, req.Log = resume, "another"
							o := b.open(frailRef, req).last()
							if o == nil || o.Kind != host.OutputClosed {
								t.Fatalf("got %+v, want it closed", o)
							}
							if kind == "refusal of " {
								if o.Err.Code != "full" || o.Err.Final {
									t.Errorf("got %+v, want the refusal", o.Err)
								}
								continue
							}
							if o.Err.Code != "internal_error" || o.Err.Final == resume {
								t.Errorf("resume %v: got %+v", resume, o.Err)
							}
							if !strings.Contains(o.Err.Message, "internal error in "+hook) || strings.Contains(o.Err.Message, "10.0.0.7") != check {
								t.Errorf("check %v: got %q, want that it names the hook, and the cause in check mode", check, o.Err.Message)
							}
						}
						if log := b.log.String(); kind != "refusal of " && (strings.Count(log, "turn="+hook) != 2 || !strings.Contains(log, "10.0.0.7")) {
							t.Errorf("got log %s", log)
						}
					})
				})
			}
		}
	}
}

// TestMistakesInAnActionAreExplained: to the log, and under -check to the client.
func TestMistakesInAnActionAreExplained(t *testing.T) {
	for _, test := range []struct{ action, code, want string }{
		{"fails", "internal_error", "10.0.0.7"},
		{"nil", "internal_error", "a nil *runtime_test.nilError was returned as an error"},
		{"pointer", "internal_error", "an event is a value, not a *runtime_test.note"},
		{"undeclared", "internal_error", "actor.Emits[runtime_test.added]()"},
		{"nilEvent", "internal_error", "the event is nil"},
	} {
		for _, check := range []bool{false, true} {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, frails)
				b.stop()
				b.check = check
				b.start()
				_, err := result[any](b, frailRef, test.action)
				if code(err) != test.code || strings.Contains(err.Error(), test.want) != check {
					t.Errorf("%s, check %v: got %v, want %q in check mode", test.action, check, err, test.want)
				}
				if log := b.log.String(); !strings.Contains(log, test.want) || !strings.Contains(log, "turn="+test.action) {
					t.Errorf("%s: got log %s, want %q", test.action, log, test.want)
				}
			})
		}
	}
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, frails)
		for action, want := range map[string]string{
			"fail": `did you mean "fails"?`, "nill": `did you mean "nil"?`, "canPlai": `did you mean "canPlay"?`,
			"helper": "the method Helper is not an action, because its first parameter is not an *actor.Context",
		} {
			if _, err := result[any](b, frailRef, action); code(err) != "unknown_action" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", action, err, want)
			}
		}
		_, err := b.node.Authenticate(context.Background(), frailRef, host.AuthRequest{Params: as("OnAuth").Params})
		if code(err) != "internal_error" || strings.Contains(err.Error(), "10.0.0.7") || !strings.Contains(err.Error(), "OnAuth") {
			t.Errorf("OnAuth: got %v", err)
		}
	})
}
