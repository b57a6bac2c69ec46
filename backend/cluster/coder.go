package cluster

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

var errItem = errors.New("cluster: an item that does not decode")

// coder writes values to bytes, or reads them: one description of the format serves both. It
// sets a value only while it reads: what is written is shared with others. After an error,
// reading changes nothing any more.
type coder struct {
	b       []byte // what was written, or what is left to read
	reading bool
	joining bool // in the outputs of a joining, in which there is no other
	err     error
}

func (c *coder) fail() { c.err, c.b = errItem, nil }

// uint is an unsigned number.
func (c *coder) uint(v *uint64) {
	if !c.reading {
		c.b = binary.AppendUvarint(c.b, *v)
		return
	}
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return
	}
	*v, c.b = x, c.b[n:]
}

func (c *coder) uint32(v *uint32) {
	x := uint64(*v)
	if c.uint(&x); x > math.MaxUint32 {
		c.fail()
	} else if c.reading {
		*v = uint32(x)
	}
}

func (c *coder) int64(v *int64) {
	x := uint64(*v<<1) ^ uint64(*v>>63)
	if c.uint(&x); c.reading {
		*v = int64(x>>1) ^ -int64(x&1)
	}
}

func (c *coder) int(v *int) {
	x := int64(*v)
	if c.int64(&x); c.reading {
		*v = int(x)
	}
}

func (c *coder) byte(v *uint8) {
	if !c.reading {
		c.b = append(c.b, *v)
	} else if len(c.b) == 0 {
		c.fail()
	} else {
		*v, c.b = c.b[0], c.b[1:]
	}
}

func (c *coder) bool(v *bool) {
	x := uint8(0)
	if *v {
		x = 1
	}
	if c.byte(&x); x > 1 {
		c.fail()
	} else if c.reading {
		*v = x == 1
	}
}

// bools are up to 8 of them, in one byte.
func (c *coder) bools(all ...*bool) {
	x := uint8(0)
	for i, v := range all {
		if *v {
			x |= 1 << i
		}
	}
	if c.byte(&x); int(x) >= 1<<len(all) {
		c.fail()
		return
	}
	for i, v := range all {
		if c.reading {
			*v = x&(1<<i) != 0
		}
	}
}

// part is a number of bytes, which belong to the coder.
func (c *coder) part(v []byte) []byte {
	n := uint64(len(v))
	c.uint(&n)
	if !c.reading {
		c.b = append(c.b, v...)
		return nil
	}
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	v, c.b = c.b[:n:n], c.b[n:]
	return v
}

func (c *coder) string(v *string) {
	if !c.reading {
		n := uint64(len(*v))
		c.uint(&n)
		c.b = append(c.b, *v...)
		return
	}
	*v = string(c.part(nil))
}

// raw is JSON, or nil, which is not the same as empty. What is read is a copy: an item is a
// part of a large frame.
func (c *coder) raw(v *json.RawMessage) {
	there := *v != nil
	if c.bool(&there); !there {
		return
	}
	if part := c.part(*v); c.reading && c.err == nil {
		*v = append(make(json.RawMessage, 0, len(part)), part...)
	}
}

// time is a moment to the nanosecond, or the zero time.
func (c *coder) time(v *time.Time) {
	there := !v.IsZero()
	if c.bool(&there); !there {
		return
	}
	ns := int64(0)
	if !c.reading {
		ns = v.UnixNano()
	}
	if c.int64(&ns); c.reading && c.err == nil {
		*v = time.Unix(0, ns)
	}
}

// list is a list of values, or nil.
func list[T any](c *coder, v *[]T, one func(*T)) {
	n := uint64(0)
	if *v != nil {
		n = uint64(len(*v)) + 1
	}
	c.uint(&n)
	if !c.reading {
		for i := range *v {
			one(&(*v)[i])
		}
		return
	}
	if n == 0 || n-1 > uint64(len(c.b)) { // each takes a byte at least
		if n != 0 {
			c.fail()
		}
		return
	}
	*v = make([]T, 0, min(n-1, 1024))
	for range n - 1 {
		var x T
		if one(&x); c.err != nil {
			return
		}
		*v = append(*v, x)
	}
	*v = slices.Clip(*v)
}

// pointer is a value that may not be there.
func pointer[T any](c *coder, v **T, one func(*T)) {
	there := *v != nil
	if c.bool(&there); !there || c.err != nil {
		return
	}
	if c.reading {
		*v = new(T)
	}
	one(*v)
}

func (c *coder) ref(v *host.Ref) {
	c.string(&v.Name)
	list(c, (*[]string)(&v.Key), c.string)
	c.string(&v.ID)
}

func (c *coder) attachment(v *host.Attachment) {
	c.uint32(&v.Node)
	c.uint(&v.N)
}

func (c *coder) identity(v *host.Identity) {
	c.raw(&v.Auth)
	c.string(&v.Subject)
	c.time(&v.Until)
	c.moment(&v.Asked)
}

func (c *coder) moment(v *host.Moment) {
	c.uint(&v.Process)
	c.uint(&v.N)
}

func (c *coder) fault(v *host.Fault) {
	c.string(&v.Code)
	c.string(&v.Message)
	c.raw(&v.Metadata)
	c.bool(&v.Final)
	pointer(c, &v.Highest, c.uint)
}

func (c *coder) open(v *host.OpenRequest) {
	c.attachment(&v.Attachment)
	for _, s := range []*string{&v.Name, &v.Conn, &v.Producer, &v.From, &v.Log, &v.Owner} {
		c.string(s)
	}
	c.bools(&v.Create, &v.Resume)
	c.raw(&v.Input)
	c.raw(&v.Params)
	c.identity(&v.Identity)
	list(c, &v.Subs, c.string)
	c.uint(&v.Seq)
	c.uint(&v.Ack)
	c.uint(&v.Try)
}

func (c *coder) refresh(v *host.RefreshRequest) {
	c.attachment(&v.Attachment)
	c.raw(&v.Params)
	c.identity(&v.Identity)
	list(c, &v.Subs, c.string)
}

func (c *coder) subscribe(v *host.SubscribeRequest) {
	c.attachment(&v.Attachment)
	c.uint(&v.ID)
	list(c, &v.Events, c.string)
}

func (c *coder) call(v *host.CallRequest) {
	c.attachment(&v.Attachment)
	c.string(&v.Conn)
	c.uint(&v.ID)
	c.string(&v.Action)
	list(c, &v.Args, c.raw)
	c.uint(&v.Ack)
}

func (c *coder) direct(v *host.DirectCall) {
	c.bool(&v.Create)
	for _, s := range []*string{&v.IdempotencyKey, &v.Action, &v.From} {
		c.string(s)
	}
	list(c, &v.Args, c.raw)
	c.identity(&v.Identity)
}

func (c *coder) target(v *store.Target) {
	c.byte((*uint8)(&v.Mode))
	list(c, &v.Conns, c.uint32)
}

func (c *coder) output(v *host.Output) {
	c.byte((*uint8)(&v.Kind))
	c.bools(&v.Numbered, &v.Direct, &v.Volatile, &v.Unstored)
	c.uint(&v.Seq)
	c.int64(&v.TimeMs)
	c.string(&v.Event)
	c.target(&v.Target)
	c.string(&v.Latest)
	c.string(&v.Producer)
	c.uint(&v.Call)
	c.raw(&v.Data)
	c.attachment(&v.To)
	pointer(c, &v.Err, c.fault)
	pointer(c, &v.Opened, c.opened)
}

func (c *coder) outputs(v *[]*host.Output) {
	list(c, v, func(o **host.Output) {
		if c.reading {
			*o = &host.Output{}
		}
		c.output(*o)
	})
}

func (c *coder) opened(v *host.OpenedInfo) {
	for _, s := range []*string{&v.Actor, &v.Name, &v.Log, &v.Conn, &v.Owner, &v.Reason, &v.Producer} {
		c.string(s)
	}
	c.uint32(&v.Num)
	c.uint(&v.Start)
	if c.joining {
		c.fail()
		return
	}
	c.joining = true
	c.outputs(&v.Joining)
	c.joining = false
	c.uint(&v.Until)
	c.bools(&v.Resumed, &v.KnownProducer)
	list(c, &v.Refused, func(r *host.Refusal) {
		c.string(&r.Event)
		pointer(c, &r.Err, c.fault)
	})
	c.uint(&v.AskedAfter)
	list(c, &v.Replies, c.uint)
}

func (c *coder) entry(v *store.Entry) {
	c.uint(&v.Seq)
	c.string(&v.Event)
	c.bool(&v.Direct)
	c.target(&v.Target)
	c.string(&v.Caller)
	c.uint(&v.Call)
	c.raw(&v.Data)
	c.time(&v.Time)
}

func (c *coder) delivery(v *host.Delivery) {
	c.ref(&v.From)
	c.int64(&v.Born)
	c.ref(&v.To)
	c.uint(&v.Attempt)
	c.uint(&v.Settled)
	list(c, &v.Messages, func(m *host.DeliveryMessage) {
		for _, n := range []*uint64{&m.ID, &m.Order, &m.Prev} {
			c.uint(n)
		}
		c.string(&m.Type)
		c.int(&m.Version)
		c.raw(&m.Data)
		c.bools(&m.Last, &m.Skip)
	})
}

func (c *coder) answer(v *host.DeliveryAnswer) {
	c.uint(&v.ID)
	c.uint(&v.Order)
	c.byte((*uint8)(&v.Result))
	pointer(c, &v.Err, c.fault)
	c.bool(&v.Abandoned)
	c.uint(&v.Floor)
}

func (c *coder) socket(v *host.SocketRequest) {
	c.string(&v.Socket)
	c.uint(&v.N)
	c.raw(&v.Frame)
	c.bool(&v.Poll)
	c.int64((*int64)(&v.Wait))
}

func (c *coder) inspect(v *host.InspectRequest) {
	c.string(&v.Method)
	c.string(&v.Target)
	c.string(&v.From)
	c.raw((*json.RawMessage)(&v.Body))
}

func (c *coder) inquiry(v *host.Inquiry) {
	c.ref(&v.To)
	c.int64(&v.Born)
	c.string(&v.From)
}
