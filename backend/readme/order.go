package readme

import "github.com/troupe-dev/troupe/backend/actor"

// Order buys one thing: it reserves it, charges a card, and ships, one message after the
// other.
type Order struct {
	Item   string `json:"item"`
	Card   string `json:"card"`
	Status string `json:"status"`
}

// Reserve is a message of an order to the stock of an item, and Reserved the answer.
type Reserve struct{}

// Reserved is the answer to Reserve.
type Reserved struct {
	Price int `json:"price"`
}

// Release gives a reserved item back.
type Release struct{}

// Charge is a message of an order to a card, and Charged the answer.
type Charge struct {
	Amount int `json:"amount"`
}

// Charged is the answer to Charge.
type Charged struct{}

// Place begins the order.
func (o *Order) Place(c *actor.Context[actor.NoState], item, card string) {
	o.Item, o.Card, o.Status = item, card, "reserving"
	c.Send(actor.Of("stock", item), Reserve{})
}

func (o *Order) reserved(c *actor.Context[actor.NoState], m Reserved) error {
	o.Status = "charging"
	c.Send(actor.Of("card", o.Card), Charge{Amount: m.Price})
	return nil
}

func (o *Order) charged(*actor.Context[actor.NoState], Charged) error {
	o.Status = "shipped"
	return nil
}

// OnUndelivered runs if the stock or the card refuses, and undoes what was done before.
func (o *Order) OnUndelivered(c *actor.Context[actor.NoState], u actor.Undelivered) error {
	if u.To.Name == "card" {
		c.Send(actor.Of("stock", o.Item), Release{})
	}
	o.Status = u.Err.Code
	return nil
}

// GetStatus returns how far the order is.
func (o Order) GetStatus(*actor.Context[actor.NoState]) string { return o.Status }

// Stock is how many of an item are left.
type Stock struct {
	Left  int `json:"left"`
	Price int `json:"price"`
}

// Add fills the stock.
func (s *Stock) Add(_ *actor.Context[actor.NoState], n, price int) {
	s.Left, s.Price = s.Left+n, price
}

// GetLeft returns how many are left.
func (s Stock) GetLeft(*actor.Context[actor.NoState]) int { return s.Left }

// reserve takes one, and answers its sender.
func (s *Stock) reserve(c *actor.Context[actor.NoState], _ Reserve) error {
	if s.Left == 0 {
		return actor.Errorf("sold_out", "there is none left") // refuses the message
	}
	s.Left--
	order, _ := c.Sender()
	c.Send(order, Reserved{Price: s.Price})
	return nil
}

func (s *Stock) release(*actor.Context[actor.NoState], Release) error {
	s.Left++
	return nil
}

// Card is a card with a limit.
type Card struct {
	Limit int `json:"limit"`
}

// SetLimit sets what may be charged.
func (a *Card) SetLimit(_ *actor.Context[actor.NoState], limit int) { a.Limit = limit }

func (a *Card) charge(c *actor.Context[actor.NoState], m Charge) error {
	if m.Amount > a.Limit {
		return actor.Errorf("declined", "the limit is %d", a.Limit)
	}
	a.Limit -= m.Amount
	order, _ := c.Sender()
	c.Send(order, Charged{})
	return nil
}

var shop = actor.NewRegistry(
	actor.Define[Order]("order", actor.Handles((*Order).reserved), actor.Handles((*Order).charged)),
	actor.Define[Stock]("stock", actor.Handles((*Stock).reserve), actor.Handles((*Stock).release)),
	actor.Define[Card]("card", actor.Handles((*Card).charge)),
)
