package limit

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"
)

// TestG8_ReaderCountsLargeMessages: a message is counted while it is read and until
// Done, if it is not small.
func TestG8_ReaderCountsLargeMessages(t *testing.T) {
	for _, tc := range []struct {
		size, max int
		counted   bool
		err       error
	}{
		{size: SmallMessage / 4, max: 1},
		{size: 4 * SmallMessage, counted: true},
		{size: 4 * SmallMessage, max: 1, counted: true, err: ErrBuffersFull},
	} {
		b := NewBuffers(int64(tc.max))
		var since atomic.Int64
		r := NewReader(bytes.NewReader(make([]byte, tc.size)), b, &since)
		if _, err := io.ReadAll(&r); !errors.Is(err, tc.err) {
			t.Errorf("%d bytes: got error %v, want %v", tc.size, err, tc.err)
		}
		if n := b.Reserved(); n > 0 != tc.counted || tc.counted && tc.err == nil && n < int64(tc.size) {
			t.Errorf("%d bytes: %d are counted", tc.size, n)
		}
		if began := since.Load() > 0; began != (tc.err != nil) {
			t.Errorf("%d bytes: since is set: %t, want it only for a message that is not read to its end", tc.size, began)
		}
		r.Done()
		if n := b.Reserved(); n != 0 {
			t.Errorf("%d bytes: after Done %d are counted", tc.size, n)
		}
	}
}
