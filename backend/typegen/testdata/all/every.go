package all

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/typegen/testdata/all/other"
)

// Size is a string type whose constants are all of its values.
type Size string

// Sizes.
const (
	Small Size = "small"
	Large Size = "large"
	Tall  Size = `"tall" <\`
)

// UserID is a string type with a constant that is not all of its values.
//
//troupe:ts string
type UserID string

// Root is a user.
const Root UserID = "root"

// Branch is recursive by a slice and by a pointer.
type Branch struct {
	Value    int      `json:"value"`
	Children []Branch `json:"children"`
	Parent   *Branch  `json:"parent"`
}

// Dir is recursive by a map.
type Dir map[string]Dir

// Nest is recursive by a slice alone.
type Nest []Nest

// Rival is embedded beside Base, and has a field of the same name.
type Rival struct {
	ID   string `json:"id"`
	Only int
}

// Embedding has fields of its own and promoted ones; id clashes.
type Embedding struct {
	Base
	Rival
	*Optional
	Inner Item `json:"-"`
	Pair[int, []string]
}

// Pair is generic.
type Pair[A, B any] struct {
	First  A `json:"first"`
	Second B `json:"second"`
}

// Lower is known to others by another name than its own.
type lower struct {
	Text string `json:"text"`
}

// Every has a field of every kind that has random values.
type Every struct {
	Bool    bool    `json:"bool"`
	Uint8   uint8   `json:"uint8"`
	Float   float32 `json:"float"`
	NoTag   string
	Odd     string `json:"odd name"`
	Ignored func() `json:"-"`

	OmitEmpty string            `json:"omitEmpty,omitempty"`
	OmitTime  time.Time         `json:"omitTime,omitzero"`
	OmitNil   *Base             `json:"omitNil,omitempty"`
	OmitSlice []string          `json:"omitSlice,omitzero"`
	OmitMap   map[string][]int  `json:"omitMap,omitempty"`
	OmitZero  Pair[int, []bool] `json:"omitZero,omitzero"`

	QuotedInt     int64  `json:"quotedInt,string"`
	QuotedPointer *int   `json:"quotedPointer,string"`
	QuotedItems   []int  `json:"quotedItems,string"`
	QuotedString  string `json:"quotedString,string"`
	QuotedBool    bool   `json:"quotedBool,string"`

	Pointer        *string           `json:"pointer"`
	PointerPointer **int             `json:"pointerPointer"`
	PointerToSlice *[]int            `json:"pointerToSlice"`
	PointerToMap   *map[string][]int `json:"pointerToMap"`
	Pointers       []*Base           `json:"pointers"`
	MapPointers    []*map[string]int `json:"mapPointers"`
	InlinePointers []*struct {
		A *int `json:"a"`
	} `json:"inlinePointers"`

	Deep    [][]map[int]int `json:"deep"`
	Array   [2]int          `json:"array"`
	Nested  [2][]string     `json:"nested"`
	Bytes   []byte          `json:"bytes"`
	ByteArr [3]byte         `json:"byteArray"`

	IntMap    map[int][]string     `json:"intMap"`
	TextMap   map[netip.Addr]Base  `json:"textMap"`
	SizeMap   map[Size]bool        `json:"sizeMap"`
	StructMap map[string]Embedding `json:"structMap"`

	Duration time.Duration   `json:"duration"`
	Raw      json.RawMessage `json:"raw"`
	Number   json.Number     `json:"number"`
	Any      any             `json:"any"`
	Addr     netip.Addr      `json:"addr"`
	Color    Color           `json:"color"`
	Colors   []Color         `json:"colors"`
	Temp     *Temperature    `json:"temp"`
	Big      *big.Int        `json:"big" ts:"number | null"`

	Size      Size                 `json:"size"`
	Sizes     []Size               `json:"sizes"`
	OmitSize  Size                 `json:"omitSize,omitempty"`
	UserID    UserID               `json:"userId"`
	Side      other.Side           `json:"side"`
	Branch    Branch               `json:"branch"`
	Dir       Dir                  `json:"dir"`
	Nest      Nest                 `json:"nest"`
	Embedding Embedding            `json:"embedding"`
	Pair      Pair[string, *Base]  `json:"pair"`
	Pair2     Pair[string, Base]   `json:"pair2"`
	Pages     Page[[]string]       `json:"pages"`
	PageMap   Page[map[string]int] `json:"pageMap"`
	Lower     lower                `json:"lower"`
	Empty     Empty                `json:"empty"`
}

// Teller is an actor that is created without input.
type Teller struct{}

// Values are what Value returns.
var Values []Every

// Value returns one of Values.
func (Teller) Value(_ *actor.Context[actor.NoState], n int) Every { return Values[n] }

// Check takes every kind of argument. Names that are taken, and missing ones, get
// others.
func (Teller) Check(_ *actor.Context[actor.NoState], every Every, userID UserID, userId *Size, _ int) error {
	return nil
}
