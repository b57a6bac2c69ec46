// Package rope is a long sequence that can be changed in the middle: the cost of a
// change hardly depends on the length. It is an editor's rope with one level of parts:
// finding a part counts over a few hundred of them, from the nearer end.
package rope

import (
	"iter"
	"slices"
)

// Rope is a sequence of items, each with a weight. Make one with New. Several
// goroutines may read it at the same time.
type Rope[E any] struct {
	parts  []part[E] // one at least; none is empty if there are more
	n      int
	weight int
	most   int
	weigh  func(*E) int
}

type part[E any] struct {
	items  []E
	weight int  // of all of them
	shared bool // with a clone: items must not change
}

// New returns an empty Rope whose parts have at most most items. weigh returns the
// weight of an item; nil means that items have none.
func New[E any](most int, weigh func(*E) int) *Rope[E] {
	return &Rope[E]{parts: make([]part[E], 1), most: most, weigh: weigh}
}

// Len returns the number of items.
func (r *Rope[E]) Len() int { return r.n }

// Weight returns the weight of all items.
func (r *Rope[E]) Weight() int { return r.weight }

// At returns a pointer to item i, valid until the next change. It panics if there is
// no such item.
func (r *Rope[E]) At(i int) *E {
	if i < 0 || i >= r.n {
		panic("rope: no such item")
	}
	p, off := r.find(i)
	if off == len(r.parts[p].items) {
		p, off = p+1, 0
	}
	return &r.parts[p].items[off]
}

// Before returns the weight of the items before the item i, or before the end.
func (r *Rope[E]) Before(i int) int {
	p, off := r.find(i)
	sum := 0
	if i <= r.n/2 {
		for _, part := range r.parts[:p] {
			sum += part.weight
		}
	} else {
		sum = r.weight
		for _, part := range r.parts[p:] {
			sum -= part.weight
		}
	}
	items := r.parts[p].items
	if off <= len(items)/2 {
		return sum + r.sum(items[:off])
	}
	return sum + r.parts[p].weight - r.sum(items[off:])
}

func (r *Rope[E]) sum(items []E) int {
	sum := 0
	if r.weigh != nil {
		for i := range items {
			sum += r.weigh(&items[i])
		}
	}
	return sum
}

// Replace replaces the cut items that start at item at by put, which it copies. It
// panics if there are no such items.
func (r *Rope[E]) Replace(at, cut int, put ...E) {
	if at < 0 || cut < 0 || at > r.n-cut {
		panic("rope: no such items")
	}
	if at == r.n && len(put) > 0 && r.appendPart(put) {
		return
	}
	p, off := r.find(at)
	if part := &r.parts[p]; off+cut <= len(part.items) && len(put) <= r.most {
		if part.shared {
			part.items, part.shared = append(make([]E, 0, len(part.items)+len(put)), part.items...), false
		}
		change := r.sum(put) - r.sum(part.items[off:off+cut])
		if off == 0 && len(put) == 0 && len(part.items) > r.most/8 { // a queue: moving the others would cost more
			clear(part.items[:cut])
			part.items = part.items[cut:]
		} else {
			part.items = slices.Replace(part.items, off, off+cut, put...)
		}
		part.weight += change
		r.weight += change
		r.fit(p)
	} else {
		q, end := r.find(at + cut)
		parts := r.divide(r.parts[p].items[:off], put, r.parts[q].items[end:])
		for _, part := range r.parts[p : q+1] {
			r.weight -= part.weight
		}
		for _, part := range parts {
			r.weight += part.weight
		}
		r.parts = slices.Replace(r.parts, p, q+1, parts...)
		r.fit(p)
	}
	r.n += len(put) - cut
}

// appendPart appends items as a new part with spare room, if the last part has no
// room for them: dividing the last part would copy it, and the copy would have to grow
// again. It reports false if the items fit into the last part.
func (r *Rope[E]) appendPart(put []E) bool {
	n := len(r.parts[len(r.parts)-1].items)
	if n+len(put) <= r.most || n <= r.most/2 || len(put) > r.most/2 {
		return false
	}
	next := part[E]{items: append(make([]E, 0, r.most), put...), weight: r.sum(put)}
	r.parts = append(r.parts, next)
	r.weight += next.weight
	r.n += len(put)
	return true
}

// find returns the part that has item i, or that item i would follow, and the offset
// in it.
func (r *Rope[E]) find(i int) (p, off int) {
	if i <= r.n/2 {
		for i > len(r.parts[p].items) {
			i -= len(r.parts[p].items)
			p++
		}
		return p, i
	}
	back := r.n - i
	for p = len(r.parts) - 1; back > len(r.parts[p].items); p-- {
		back -= len(r.parts[p].items)
	}
	return p, len(r.parts[p].items) - back
}

// fit divides the part p if it is too long, and joins it with a neighbour if both
// are short, or one has nothing left.
func (r *Rope[E]) fit(p int) {
	if items := r.parts[p].items; len(items) > r.most {
		r.parts = slices.Replace(r.parts, p, p+1, r.divide(items)...)
		return
	}
	p = max(p-1, 0)
	for range 2 {
		if p+1 == len(r.parts) {
			return
		}
		a, b := &r.parts[p], &r.parts[p+1]
		if len(a.items) > 0 && len(b.items) > 0 && len(a.items)+len(b.items) > r.most/2 {
			p++
			continue
		}
		if a.shared {
			a.items, a.shared = slices.Clip(a.items), false // append copies it
		}
		a.items, a.weight = append(a.items, b.items...), a.weight+b.weight
		r.parts = slices.Delete(r.parts, p+1, p+2)
	}
}

// divide returns copies of the joined pieces as one or more parts. The last of several
// parts gets its full capacity, because sequences mostly grow near their end.
func (r *Rope[E]) divide(pieces ...[]E) []part[E] {
	rest := 0
	for _, piece := range pieces {
		rest += len(piece)
	}
	parts := make([]part[E], 1)
	last := &parts[0]
	for _, piece := range pieces {
		for len(piece) > 0 {
			if len(last.items) >= r.most/2 {
				parts = append(parts, part[E]{})
				last = &parts[len(parts)-1]
				if rest <= r.most/2 {
					last.items = make([]E, 0, r.most)
				}
			}
			n := min(len(piece), r.most/2-len(last.items))
			last.items = append(last.items, piece[:n]...)
			last.weight += r.sum(piece[:n])
			piece, rest = piece[n:], rest-n
		}
	}
	return parts
}

// Append appends all items to dst.
func (r *Rope[E]) Append(dst []E) []E {
	dst = slices.Grow(dst, r.n)
	for _, part := range r.parts {
		dst = append(dst, part.items...)
	}
	return dst
}

// Clone returns a copy of the rope as it is, which shares the items with it: either may
// change without changing the other. It costs much less than copying the items.
func (r *Rope[E]) Clone() *Rope[E] {
	for i := range r.parts {
		r.parts[i].shared = true
	}
	clone := *r
	clone.parts = slices.Clone(r.parts)
	return &clone
}

// AppendRange appends the n items that start at item i to dst. It panics if there are no
// such items.
func (r *Rope[E]) AppendRange(dst []E, i, n int) []E {
	if i < 0 || n < 0 || i > r.n-n {
		panic("rope: no such items")
	}
	dst = slices.Grow(dst, n)
	for p, off := r.find(i); n > 0; p, off = p+1, 0 {
		items := r.parts[p].items[off:]
		items = items[:min(n, len(items))]
		dst = append(dst, items...)
		n -= len(items)
	}
	return dst
}

// From returns the items from item i on, with their indexes. Do not change the rope
// meanwhile.
func (r *Rope[E]) From(i int) iter.Seq2[int, *E] {
	return func(yield func(int, *E) bool) {
		for p, off := r.find(i); p < len(r.parts); p, off = p+1, 0 {
			items := r.parts[p].items
			for ; off < len(items); off++ {
				if !yield(i, &items[off]) {
					return
				}
				i++
			}
		}
	}
}

// Backward returns all items from the last to the first, with their indexes. Do not
// change the rope meanwhile.
func (r *Rope[E]) Backward() iter.Seq2[int, *E] {
	return func(yield func(int, *E) bool) {
		i := r.n
		for p := len(r.parts) - 1; p >= 0; p-- {
			items := r.parts[p].items
			for off := len(items) - 1; off >= 0; off-- {
				i--
				if !yield(i, &items[off]) {
					return
				}
			}
		}
	}
}

// Search returns the index of the first item that is not less than the target, and
// whether it equals the target. compare compares an item with the target; the items
// must be in that order.
func (r *Rope[E]) Search(compare func(*E) int) (i int, found bool) {
	p, _ := slices.BinarySearchFunc(r.parts, 0, func(part part[E], _ int) int {
		if len(part.items) > 0 && compare(&part.items[len(part.items)-1]) < 0 {
			return -1
		}
		return 1
	})
	for _, part := range r.parts[:p] {
		i += len(part.items)
	}
	if p == len(r.parts) {
		return i, false
	}
	items := r.parts[p].items
	low, high := 0, len(items)
	for low < high {
		middle := (low + high) / 2
		if c := compare(&items[middle]); c < 0 {
			low = middle + 1
		} else {
			high = middle
			found = c == 0
		}
	}
	return i + low, found && low < len(items)
}
