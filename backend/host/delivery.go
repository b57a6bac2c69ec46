package host

import (
	"encoding/json"

	"github.com/troupe-dev/troupe/backend/wire"
)

// Courier carries messages of actors to the owners of their receivers. runtime.CourierOf
// returns that of the actors of a node. Every method may be called at the same time, does
// not wait, and calls its function once, from any goroutine and possibly before it returns.
// The function does not block.
//
// A Courier may lose, repeat, delay and reorder deliveries and answers. What it cannot carry
// it answers with an error; then the sender tries again, for as long as it takes.
type Courier interface {
	// Deliver carries a batch of messages. The error is a *Fault: the batch may have been
	// handled or not. It is ErrReceiverDied if the batch may be why there is no answer.
	Deliver(d *Delivery, answered func([]DeliveryAnswer, error))

	// Inquire asks an actor that has sent messages which of them are settled. The answer is as
	// Delivery.Settled.
	Inquire(q Inquiry, answered func(settled uint64, err error))
}

// ErrReceiverDied says that the owner of the receiver has died with a batch that it has not
// answered. The handler of one of the messages may have ended it.
var ErrReceiverDied = Faultf(wire.CodeUnavailable, "the node of the receiver has died without an answer")

// Delivery is a batch of messages of one actor to another. Do not change it.
type Delivery struct {
	From    Ref   // the sender: its id, name and key
	Born    int64 // when the sender's revision 1 was made, in microseconds
	To      Ref   // the receiver
	Attempt uint64

	// Settled says that the sender no longer has any message to the receiver whose Order is
	// up to this, durably.
	Settled uint64

	// Messages are in the order of Order. A delivery without any says that Settled is all.
	Messages []DeliveryMessage

	// Suspect says that an end of a process was counted in one of them. The courier takes them only
	// to a node that has answered just before: else messages that are sent to one that is dead
	// already, because its end is not known yet, would seem to be why. It is not sent along.
	Suspect bool
}

// DeliveryMessage is a message of a Delivery.
type DeliveryMessage struct {
	ID      uint64 // never changes
	Order   uint64 // among the messages to the receiver
	Prev    uint64 // the Order of the one before that the sender still has; 0: none
	Type    string
	Version int
	Data    json.RawMessage
	Last    bool // if it fails, the receiver gives it up
	Skip    bool // the receiver gives it up without running it
}

// DeliveryAnswer is what has become of a message.
type DeliveryAnswer struct {
	ID, Order uint64
	Result    DeliveryResult
	Err       *Fault // of a message that was refused, was given up or has failed
	Abandoned bool   // of one that has failed: its turn did not return
	Floor     uint64 // with DeliveryRenumber
}

// DeliveryResult says what has become of a message.
type DeliveryResult uint8

// What has become of a message. The first three are final: the receiver has made durable
// that it does not run again.
const (
	DeliveryDone    DeliveryResult = iota // it took effect
	DeliveryRefused                       // its handler has returned an error for the sender
	DeliveryGivenUp                       // it has failed too often

	// The receiver was destroyed after the message was sent. That is final if it answers the
	// newest attempt.
	DeliveryDestroyed

	DeliveryFailed   // it left no trace and may be sent again
	DeliveryGap      // the message before it is missing
	DeliveryRenumber // it needs an Order above Floor
)

// Inquiry asks an actor which of its messages to another are settled.
type Inquiry struct {
	To   Ref    // the sender of the messages
	Born int64  // of To, as in its deliveries
	From string // the id of their receiver
}
