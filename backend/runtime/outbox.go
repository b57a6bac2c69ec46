package runtime

import (
	"bytes"
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
)

// outbox collects the outputs of a turn, in order.
type outbox struct {
	outputs []*host.Output
	few     [4]*host.Output // room for outputs
	sealed  int             // a send is not merged into the first sealed outputs: they stay if a hook is undone

	sent       any          // the event that sentOutput is, if the next send may be the same
	sentOutput *host.Output // see sendAgain
}

// add appends an output.
func (b *outbox) add(o *host.Output) {
	b.outputs = append(b.all(), o)
}

// all returns the outputs, with room for some more.
func (b *outbox) all() []*host.Output {
	if b.outputs == nil {
		b.outputs = b.few[:0]
	}
	return b.outputs
}

// seal keeps the outputs so far from being changed by later sends.
func (b *outbox) seal() { b.sealed = len(b.outputs) }

// mergeSend adds the target of a send to the previous output if that has the same event.
// A loop over connections becomes one entry.
func (b *outbox) mergeSend(event string, data []byte, e *Emission, num uint32) bool {
	if len(b.outputs) <= b.sealed {
		return false
	}
	last := b.outputs[len(b.outputs)-1]
	if last.Kind != host.OutputEvent || !last.Direct || last.Event != event || last.Volatile != e.Volatile ||
		last.Latest != e.Latest || !bytes.Equal(last.Data, data) {
		return false
	}
	return alsoTo(last, num)
}

// sendAgain is mergeSend for a value that equals the last one sent. A loop over
// connections encodes the event once.
func (b *outbox) sendAgain(event any, num uint32) bool {
	n := len(b.outputs)
	return n > b.sealed && b.outputs[n-1] == b.sentOutput && b.sent == event && alsoTo(b.sentOutput, num)
}

// alsoTo adds a target to a sent event. It reports false if the connection is already a
// target: sending an event twice makes two events.
func alsoTo(o *host.Output, num uint32) bool {
	i, found := slices.BinarySearch(o.Target.Conns, num)
	if found {
		return false
	}
	o.Target.Conns = slices.Insert(o.Target.Conns, i, num)
	return true
}
