package httpcall

import "testing"

func TestCheckMembers(t *testing.T) {
	for object, want := range map[string]string{
		`{}`:      "",
		`null`:    "",
		`{"a":1}`: "",
		` { "b" : {"a":1,"a":2,"c":[{"A":","}]} , "a":"b\",\"a" } `: "",
		`{"a":["c","c",{"d":"}"}],"b":"c"}`:                         "",
		`{"\u0061":1}`:                                              "",
		`{"a":1,"a":2}`:                                             `the member "a" is there twice; write it once`,
		`{"a":[[]],"\u0061":2}`:                                     `the member "a" is there twice; write it once`,
		`{"A":1}`:                                                   `there is no member "A"`,
		`{"b":1,"\"a":2}`:                                           `there is no member "\"a"`,
		`{"":1}`:                                                    `there is no member ""`,
	} {
		got := ""
		if err := checkMembers([]byte(object), []string{"a", "b"}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", object, got, want)
		}
	}
}
