package httpcall

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// checkMembers returns an error if a valid JSON object has a member that is not one of
// allowed, or has one twice. encoding/json takes both: it ignores case, and the last of two
// members wins.
func checkMembers(object []byte, allowed []string) error {
	depth, isName := 0, false
	var seen uint // a bit for each of allowed
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '"':
			start := i
			for i++; object[i] != '"'; i++ {
				if object[i] == '\\' {
					i++
				}
			}
			if !isName {
				continue
			}
			isName = false
			name := object[start+1 : i]
			if bytes.IndexByte(name, '\\') >= 0 {
				var s string
				if err := json.Unmarshal(object[start:i+1], &s); err != nil {
					return err
				}
				name = []byte(s)
			}
			n := slices.IndexFunc(allowed, func(a string) bool { return a == string(name) })
			switch {
			case n < 0:
				return bodyError(fmt.Sprintf("there is no member %.64q", name))
			case seen&(1<<n) != 0:
				return bodyError(fmt.Sprintf("the member %q is there twice; write it once", name))
			}
			seen |= 1 << n
		case '{', '[':
			depth++
			isName = depth == 1
		case '}', ']':
			depth--
		case ',':
			isName = depth == 1
		}
	}
	return nil
}
