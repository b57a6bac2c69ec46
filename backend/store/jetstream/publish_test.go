package jetstream

import "testing"

// A commit whose message, or the answer to it, was lost does not wait until the time for a try is over:
// the message is sent again.
func TestWhatIsLostIsSentAgain(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	proxy.set(func() {
		proxy.lost = 0
		proxy.lose = func(_ string, data []byte) bool { return isAck(data) && proxy.lost == 0 }
	})
	commit(t, s, commitOf("ada", 1))
	commit(t, s, commitOf("ada", 2))
	proxy.set(func() {
		if proxy.lost != 1 {
			t.Errorf("%d answers were lost, want 1", proxy.lost)
		}
	})
	if n := s.own.retries.Load(); n != 0 {
		t.Errorf("%d tries have waited until their time was over", n)
	}
	expectRev(t, s, "ada", 2)
}
