package readme

import "github.com/troupe-dev/troupe/backend/actor"

// Order buys one thing: it reserves it, charges a card, and ships, one message after the
// other.
type Order struct {
	Item   string `json:"item"`
	Card   string `json:"card"`
	Town   string `json:"town"` // where it goes
	Price  int    `json:"price"`
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

// Refund gives a charged amount back.
type Refund struct {
	Amount int `json:"amount"`
}

// Ship is a message of an order to a carrier, and Shipped the answer.
type Ship struct {
	Town string `json:"town"`
}

// Shipped is the answer to Ship.
type Shipped struct{}

// Place begins the order.
func (o *Order) Place(c *actor.Context[actor.NoState], item, card, town string) {
	o.Item, o.Card, o.Town, o.Status = item, card, town, "reserving"
	c.Send(actor.Of("stock", item), Reserve{})
}

func (o *Order) reserved(c *actor.Context[actor.NoState], m Reserved) error {
	o.Price, o.Status = m.Price, "charging"
	c.Send(actor.Of("card", o.Card), Charge{Amount: m.Price})
	return nil
}

func (o *Order) charged(c *actor.Context[actor.NoState], _ Charged) error {
	o.Status = "shipping"
	c.Send(actor.Of("carrier"), Ship{Town: o.Town})
	return nil
}

func (o *Order) shipped(*actor.Context[actor.NoState], Shipped) error {
	o.Status = "shipped"
	return nil
}

// OnUndelivered runs if a step is refused, and undoes those before it, the last one first.
func (o *Order) OnUndelivered(c *actor.Context[actor.NoState], u actor.Undelivered) error {
	switch u.To.Name {
	case "carrier":
		c.Send(actor.Of("card", o.Card), Refund{Amount: o.Price})
		fallthrough
	case "card":
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

func (a *Card) refund(_ *actor.Context[actor.NoState], m Refund) error {
	a.Limit += m.Amount
	return nil
}

// GetLimit returns what may still be charged.
func (a Card) GetLimit(*actor.Context[actor.NoState]) int { return a.Limit }

// Carrier brings things to towns. There is one.
type Carrier struct {
	Loads map[string]int `json:"loads"` // by town
}

// Serve adds a town.
func (r *Carrier) Serve(_ *actor.Context[actor.NoState], town string) {
	if r.Loads == nil {
		r.Loads = map[string]int{}
	}
	r.Loads[town] = 0
}

// GetLoads returns how many things go to each town.
func (r Carrier) GetLoads(*actor.Context[actor.NoState]) map[string]int { return r.Loads }

func (r *Carrier) ship(c *actor.Context[actor.NoState], m Ship) error {
	if _, ok := r.Loads[m.Town]; !ok {
		return actor.Errorf("too_far", "nothing goes to %s", m.Town)
	}
	r.Loads[m.Town]++
	order, _ := c.Sender()
	c.Send(order, Shipped{})
	return nil
}

var shop = actor.NewRegistry(
	actor.Define[Order]("order", actor.Handles((*Order).reserved), actor.Handles((*Order).charged), actor.Handles((*Order).shipped)),
	actor.Define[Stock]("stock", actor.Handles((*Stock).reserve), actor.Handles((*Stock).release)),
	actor.Define[Card]("card", actor.Handles((*Card).charge), actor.Handles((*Card).refund)),
	actor.Define[Carrier]("carrier", actor.Handles((*Carrier).ship)),
)
