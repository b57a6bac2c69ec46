package runtime

import "github.com/troupe-dev/troupe/backend/host"

// CourierOf returns the courier of messages to the actors of a node.
func CourierOf(n *Node) host.Courier { return ownCourier{n} }

// ownCourier carries messages to the actors of its node.
type ownCourier struct{ node *Node }

// Deliver implements host.Courier. A delivery without messages does not load its receiver.
func (c ownCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	if len(d.Messages) == 0 {
		tellAwake(c.node, d.To.ID, &settledEnvelope{from: d.From.ID, born: d.Born, settled: d.Settled})
		answered(nil, nil)
		return
	}
	if err := c.node.deliver(d.To, &deliveryEnvelope{delivery: d, answered: answered}, ofCall); err != nil {
		answered(nil, err)
	}
}

// Inquire implements host.Courier.
func (c ownCourier) Inquire(q host.Inquiry, answered func(uint64, error)) {
	if err := c.node.post(q.To, &inquiryEnvelope{q, answered}); err != nil {
		answered(0, err)
	}
}

// tellAwake is Node.tell for an actor that is in memory. It drops the envelope if it is not.
func tellAwake(n *Node, id string, m envelope) {
	if a := inMemory(n, id); a != nil {
		a.box.post(m)
	}
}
