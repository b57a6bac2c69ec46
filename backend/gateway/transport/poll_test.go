package transport

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
)

// closingWriter closes the transport while it takes an answer.
type closingWriter struct {
	*httptest.ResponseRecorder
	poll *Poll
}

// Write takes the answer.
func (w closingWriter) Write(b []byte) (int, error) {
	_ = w.poll.Close()
	return w.ResponseRecorder.Write(b)
}

// A transport that closes during its first poll, however that ends, answers the next one
// with ErrClosed.
func TestPoll_closedDuringTheFirst(t *testing.T) {
	for name, first := range map[string]func(t *testing.T, p *Poll){
		"its answer is taken": func(t *testing.T, p *Poll) {
			f := NewFrame()
			f.Put(append(f.Begin(), "{}"...))
			p.Send(f)
			w := closingWriter{httptest.NewRecorder(), p}
			if answered, err := p.Serve(t.Context(), w, 1, time.Minute); !answered || err != nil || w.Body.String() != "[{}]" {
				t.Errorf("got %v, %v and %s, want an answer", answered, err, w.Body)
			}
		},
		"its client hangs up": func(t *testing.T, p *Poll) {
			_ = p.Close()
			p.slot <- struct{}{} // as while another one is being answered
			defer func() { <-p.slot }()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if answered, err := p.Serve(ctx, httptest.NewRecorder(), 1, time.Minute); answered || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, %v, want that it was canceled", answered, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPoll(Config{Timeout: time.Minute, Buffers: limit.NewBuffers(0), Wrote: func(bool) {}, Broke: func(bool) {}})
			first(t, p)
			if answered, err := p.Serve(t.Context(), httptest.NewRecorder(), 0, time.Minute); answered || !errors.Is(err, ErrClosed) {
				t.Errorf("the next poll: got %v, %v, want ErrClosed", answered, err)
			}
		})
	}
}
