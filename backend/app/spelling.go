package app

import (
	"fmt"
	"slices"
	"strings"
)

// misspelled returns a warning for each environment variable whose name is nearly that
// of a setting. Others that begin with TROUPE_ may belong to something else.
func misspelled(env []string) []string {
	var known, warnings []string
	for _, s := range settings {
		known = append(known, s.env, s.oldEnv)
	}
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "TROUPE_") || slices.Contains(known, name) {
			continue
		}
		for _, k := range known {
			if distance(name, k) <= 2 {
				warnings = append(warnings, fmt.Sprintf("%s is not a setting and has no effect: did you mean %s?", name, k))
				break
			}
		}
	}
	return warnings
}

// distance returns how many bytes must be changed, added or removed to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
