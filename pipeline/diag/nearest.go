package diag

import "strings"

// Nearest returns the candidate that name was probably meant to be, "" if none
// is near enough: at most one slip in three characters, case aside. Of equally
// near ones it is the first.
func Nearest(name string, candidates []string) string {
	lower := []rune(strings.ToLower(name))
	if len(lower) == 0 || len(lower) > 64 {
		return ""
	}
	best, bestDistance := "", max(1, (len(lower)+1)/3)+1
	for _, c := range candidates {
		if c == name || len(c) > 64 {
			continue
		}
		if d := distance(lower, []rune(strings.ToLower(c))); d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// that make a into b (optimal string alignment).
func distance(a, b []rune) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
