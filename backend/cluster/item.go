package cluster

import (
	"encoding/json"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// kind is the kind of an item.
type kind uint8

// Kinds of items. Their numbers are part of the format.
const (
	// To the owner of an actor. The number of the first nine is that of the follow to whose
	// log their answers go; that of the others is their own.
	itemFollow     kind = 1 // sends the outputs of the actor's log, until itemUnfollow
	itemUnfollow   kind = 2
	itemOpen       kind = 3
	itemRefresh    kind = 4
	itemSubscribe  kind = 5
	itemCall       kind = 6
	itemAck        kind = 7
	itemDetach     kind = 8
	itemClose      kind = 9
	itemCallOnce   kind = 10
	itemCreate     kind = 11
	itemFind       kind = 12
	itemResolve    kind = 13
	itemEntries    kind = 14
	itemReplies    kind = 15
	itemDeliver    kind = 16
	itemInquire    kind = 17
	itemSocket     kind = 18 // for a socket over HTTP, whose node this is
	itemCancel     kind = 19 // ends an itemSocket or itemInspect, whose number it has
	itemInspect    kind = 20 // for the inspector of a node
	itemDisconnect kind = 21 // ends a subject's connections to all actors of the node
	itemMoment     kind = 22 // asks for a moment of the node's process

	// From the owner, with the number of the follow or of the request.
	itemFollowing kind = 32 // the first answer to a follow: where the log is
	itemOutputs   kind = 33 // the next outputs of the log
	itemSkip      kind = 34 // what is before Seq is left out, except for outputs that no store has
	itemRefused   kind = 35 // a request did not reach its actor
	itemDone      kind = 36 // the answer to a request
	itemPart      kind = 37 // the next bytes of the Data of an itemDone
)

// item is what nodes send each other over a link. Which fields it has depends on its kind.
type item struct {
	Kind   kind
	Number uint64
	Ref    host.Ref

	Open       *host.OpenRequest
	Refresh    *host.RefreshRequest
	Subscribe  *host.SubscribeRequest
	Call       *host.CallRequest
	Direct     *host.DirectCall
	Delivery   *host.Delivery
	Inquiry    *host.Inquiry
	Attachment host.Attachment
	Identity   host.Identity
	Producer   string
	Subject    string
	Reason     string
	Follow     uint64 // the number of a follow
	Seq        uint64 // an acknowledgement, an entry's number, or what an inquiry has found
	Limit, Max int    // of entries, and of their bytes
	Wait       time.Duration
	Of         kind            // of the request that was refused
	Data       json.RawMessage // of an itemPart any bytes

	Log     string // the log's identity
	Lost    bool   // outputs that no store has are left out, too
	Outputs []*host.Output
	Entries []store.Entry
	Answers []host.DeliveryAnswer
	Moments []host.Moment
	Err     *host.Fault
	Socket  *host.SocketRequest
	Inspect *host.InspectRequest

	part func([]byte) // of a request: gets the parts of its answer; nil: they are put together
}

// encode returns the item as bytes.
func (i *item) encode() []byte {
	c := &coder{}
	i.code(c)
	return c.b
}

// parseItem reads an item. It keeps no part of b.
func parseItem(b []byte) (*item, error) {
	c := &coder{b: b, reading: true}
	i := &item{}
	if i.code(c); c.err == nil && len(c.b) > 0 {
		c.fail()
	}
	return i, c.err
}

// code writes or reads the item.
func (i *item) code(c *coder) {
	c.byte((*uint8)(&i.Kind))
	c.uint(&i.Number)
	if i.Kind < itemSocket && i.Kind != itemUnfollow {
		c.ref(&i.Ref)
	}
	switch i.Kind {
	case itemFollow, itemUnfollow, itemCancel, itemMoment:
	case itemOpen:
		need(c, &i.Open, c.open)
	case itemRefresh:
		need(c, &i.Refresh, c.refresh)
	case itemSubscribe:
		need(c, &i.Subscribe, c.subscribe)
	case itemCall:
		need(c, &i.Call, c.call)
	case itemAck:
		c.attachment(&i.Attachment)
		c.uint(&i.Seq)
	case itemDetach, itemClose:
		c.attachment(&i.Attachment)
	case itemCallOnce:
		c.wait(&i.Wait)
		need(c, &i.Direct, c.direct)
	case itemCreate, itemFind, itemResolve:
		c.wait(&i.Wait)
		c.raw(&i.Data)
		c.identity(&i.Identity)
	case itemEntries, itemReplies:
		c.wait(&i.Wait)
		c.uint(&i.Follow)
		c.string(&i.Producer)
		c.uint(&i.Seq)
		c.int(&i.Limit)
		c.int(&i.Max)
	case itemDeliver:
		need(c, &i.Delivery, c.delivery)
	case itemInquire:
		need(c, &i.Inquiry, c.inquiry)
	case itemSocket:
		need(c, &i.Socket, c.socket)
	case itemInspect:
		need(c, &i.Inspect, c.inspect)
	case itemPart:
		c.raw(&i.Data)
	case itemDisconnect:
		c.wait(&i.Wait)
		c.string(&i.Subject)
		c.string(&i.Reason)
		list(c, &i.Moments, c.moment)
	case itemFollowing, itemOutputs, itemSkip:
		c.string(&i.Log)
		c.uint(&i.Seq)
		c.bool(&i.Lost)
		c.outputs(&i.Outputs)
	case itemRefused:
		c.byte((*uint8)(&i.Of))
		c.attachment(&i.Attachment)
		c.uint(&i.Seq)
		need(c, &i.Err, c.fault)
	case itemDone:
		c.ref(&i.Ref)
		c.raw(&i.Data)
		c.uint(&i.Seq)
		list(c, &i.Entries, c.entry)
		list(c, &i.Answers, c.answer)
		list(c, &i.Moments, c.moment)
		pointer(c, &i.Err, c.fault)
	default:
		c.fail()
	}
}

// need is a value that is there.
func need[T any](c *coder, v **T, one func(*T)) {
	if c.reading {
		*v = new(T)
	}
	one(*v)
}

// wait is how long the other side should try.
func (c *coder) wait(v *time.Duration) {
	ms := int64(*v / time.Millisecond)
	if c.int64(&ms); c.reading {
		*v = time.Duration(ms) * time.Millisecond
	}
}
