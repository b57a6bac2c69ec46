package jsonshape

import (
	"fmt"
	"testing"
)

func TestMembersOfAnObject(t *testing.T) {
	for _, c := range []struct{ object, want string }{
		{`{}`, `[]`},
		{` [1] `, `[]`},
		{`null`, `[]`},
		{`{"a":1,"b":{"c":"}"},"":[]}`, `["a":1="a" "b":{"c":"}"}="b" "":[]=""]`},
		{" { \"a\\u0062\" : \"\\\"\" ,\n\"b\" : -1.5e3 } ", `["a\u0062" : "\""="ab" "b" : -1.5e3="b"]`},
		{`{"a":1,"a":2}`, `["a":1="a" "a":2="a"]`},
	} {
		var got []string
		for _, m := range Members([]byte(c.object)) {
			got = append(got, fmt.Sprintf("%s=%q", m.Text, m.Name))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, want %s", c.object, got, c.want)
		}
	}
	two := Members([]byte(`{"a" : 1 , "b":[2]}`))
	if got := string(AppendMembers(nil, two)); got != `"a" : 1,"b":[2]` {
		t.Errorf("joined: got %s", got)
	}
	if got := string(two[1].Value); got != "[2]" {
		t.Errorf("value: got %s", got)
	}
}
