package readme

import (
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestOrders(t *testing.T) {
	actortest.Run(t, shop, func(n *actortest.Node) {
		stock := n.Actor("stock", "tea")
		actortest.Call[any](stock, "add", 2, 20)
		actortest.Call[any](n.Actor("card", "ada"), "setLimit", 30)

		for _, test := range []struct {
			order, status string
			left          int
		}{
			{"first", "shipped", 1},
			{"second", "declined", 1}, // and the item is given back
		} {
			order := n.Actor("order", test.order)
			actortest.Call[any](order, "place", "tea", "ada")
			n.Crash() // whatever of it was not durable is gone
			time.Sleep(time.Minute)
			if got := actortest.Call[string](order, "getStatus"); got != test.status {
				t.Errorf("the %s order is %s, want %s", test.order, got, test.status)
			}
			if got := actortest.Call[int](stock, "getLeft"); got != test.left {
				t.Errorf("after the %s order %d are left, want %d", test.order, got, test.left)
			}
		}

		order := n.Actor("order", "third")
		actortest.Call[any](order, "place", "coffee", "ada")
		time.Sleep(time.Second)
		if got := actortest.Call[string](order, "getStatus"); got != "sold_out" {
			t.Errorf("an order of what is sold out is %s", got)
		}
	})
}
