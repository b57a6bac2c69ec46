package readme

import (
	"strconv"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestOrders(t *testing.T) {
	actortest.Run(t, shop, func(n *actortest.Node) {
		stock, card, carrier := n.Actor("stock", "tea"), n.Actor("card", "ada"), n.Actor("carrier")
		actortest.Call[any](stock, "add", 3, 20)
		actortest.Call[any](card, "setLimit", 50)
		actortest.Call[any](carrier, "serve", "Turin")

		for _, test := range []struct {
			item, town, status     string
			left, limit, delivered int
		}{
			{"tea", "Turin", "shipped", 2, 30, 1},
			{"tea", "Atlantis", "too_far", 2, 30, 1}, // the amount and the item are given back
			{"tea", "Turin", "shipped", 1, 10, 2},
			{"tea", "Turin", "declined", 1, 10, 2}, // the item is given back
			{"coffee", "Turin", "sold_out", 1, 10, 2},
		} {
			order := n.Actor("order", test.item, test.town, test.status, strconv.Itoa(test.left))
			actortest.Call[any](order, "place", test.item, "ada", test.town)
			n.Crash() // whatever of it was not durable is gone
			time.Sleep(time.Minute)
			status, left, limit := actortest.Call[string](order, "getStatus"), actortest.Call[int](stock, "getLeft"), actortest.Call[int](card, "getLimit")
			delivered := actortest.Call[map[string]int](carrier, "getLoads")["Turin"]
			if status != test.status || left != test.left || limit != test.limit || delivered != test.delivered {
				t.Errorf("an order of %s to %s is %s; %d are left, %d may be charged and %d are delivered, want %+v", test.item, test.town, status, left, limit, delivered, test)
			}
		}
	})
}
