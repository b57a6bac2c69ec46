// Package other has types that another package uses.
package other

// Item is one of another package.
type Item struct {
	Count int `json:"count"` // how many
}

// Side is left or right.
type Side string

// Sides.
const (
	Right Side = "right"
	Left  Side = "left"
)
