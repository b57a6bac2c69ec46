package gateway

// numbers is a set of channel numbers that were used on a socket. Clients count
// from 1, so it is kept as how far they have come, and the exceptions.
type numbers struct {
	upTo  uint32
	above map[uint32]struct{}
}

// maxStray is how many numbers a client may use out of order.
const maxStray = 4096

func (n *numbers) has(c uint32) bool {
	_, ok := n.above[c]
	return ok || c <= n.upTo
}

// add reports whether there was room for c.
func (n *numbers) add(c uint32) bool {
	if c != n.upTo+1 {
		if len(n.above) >= maxStray {
			return false
		}
		if n.above == nil {
			n.above = map[uint32]struct{}{}
		}
		n.above[c] = struct{}{}
		return true
	}
	for n.upTo++; ; n.upTo++ {
		if _, ok := n.above[n.upTo+1]; !ok {
			return true
		}
		delete(n.above, n.upTo+1)
	}
}
