package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheServerRepeatsItself logs what differs in numbers only once a minute.
func TestTheServerRepeatsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newServerLog(slog.New(slog.NewTextHandler(&out, nil)))
		const format = "Error trying to connect to route (attempt %d): dial tcp 127.0.0.1:6222: connect: connection refused"
		for i := range 90 {
			l.Errorf(format, i)
			time.Sleep(time.Second)
		}
		l.Warnf("Plaintext passwords detected, use nkeys or bcrypt")
		l.Warnf("another warning")
		l.Noticef("a notice")
		if got := strings.Count(out.String(), "level=ERROR"); got != 2 {
			t.Errorf("it is logged %d times in 90 s, want 2", got)
		}
		if got := strings.Count(out.String(), "level=WARN"); got != 1 || strings.Contains(out.String(), "a notice") {
			t.Errorf("got %s, want one warning", &out)
		}
	})
}

// TestAReasonIsSaidOnceAMinute has connections fail, each from another local port.
func TestAReasonIsSaidOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		failed := failures(slog.New(slog.NewTextHandler(&out, nil)))
		for i := range 900 {
			failed(nil, fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:4222: connection reset by peer", 33_000+i))
			if time.Sleep(100 * time.Millisecond); i == 100 {
				failed(nil, errors.New("dial tcp 127.0.0.1:4223: connection refused"))
			}
		}
		if got := strings.Count(out.String(), "check -cluster"); got != 3 {
			t.Errorf("it is logged %d times in 90 s, want one reason twice and the other once: %.2000s", got, &out)
		}
	})
}
