package jsonshape

import (
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"
)

func TestLocateNamesThePlace(t *testing.T) {
	type message struct {
		At   time.Time `json:"at"`
		Text string    `json:"text"`
		N    int       `json:",string"`
		Big  *big.Int
	}
	type room struct {
		Messages []*message         `json:"messages"`
		ByName   map[string][2]int8 `json:"byName"`
		Bytes    []byte             `json:"bytes"`
		message
	}
	for _, c := range []struct{ raw, want string }{
		{`{"messages":[{"text":"a"},null,{"text":1}]}`, "messages[2].text: want a string, got number"},
		{`{"messages":[{},{"at":"soon"}]}`, `messages[1].at: want a time.Time: parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"`},
		{`{"messages":{}}`, "messages: want an array, got object"},
		{`{"BYNAME":{"a":[1,2],"b":[3,300]}}`, `byName["b"][1]: want an integer, got 300, which is out of range`},
		{`{"bytes":"?"}`, "bytes: want a base64 string: illegal base64 data at input byte 0"},
		{`{"text":true}`, "text: want a string, got bool"},
		{`{"Big":"x"}`, "<any>"},
		{`{"N":5}`, "<any>"},
		{`[]`, "want an object, got array"},
		{`{"text":`, "it is not JSON: unexpected end of JSON input"},
		{`{"text":"a","unknown":{}}`, "<nil>"},
	} {
		got := fmt.Sprint(Locate(reflect.TypeFor[room](), []byte(c.raw), ""))
		if got != c.want && (c.want != "<any>" || got == "<nil>") {
			t.Errorf("%s: got %s, want %s", c.raw, got, c.want)
		}
	}
}
