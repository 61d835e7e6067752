package diag

import "unicode"

// maxNear is how long names may be that are near to each other.
const maxNear = 64

// Nearest returns the candidate that name was probably meant to be, "" if none
// is near enough: at most one slip in three characters, case aside. Of equally
// near ones it is the first.
func Nearest(name string, candidates []string) string {
	var given, other [maxNear]rune
	lower, ok := lowered(&given, name)
	if !ok || len(lower) == 0 {
		return ""
	}
	best, bestDistance := "", max(1, (len(lower)+1)/3)+1
	for _, c := range candidates {
		candidate, ok := lowered(&other, c)
		if !ok || c == name || max(len(candidate)-len(lower), len(lower)-len(candidate)) >= bestDistance {
			continue
		}
		if d := distance(lower, candidate); d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// lowered is a name in small letters; false tells that it is too long.
func lowered(into *[maxNear]rune, name string) ([]rune, bool) {
	n := 0
	for _, r := range name {
		if n == maxNear {
			return nil, false
		}
		into[n] = unicode.ToLower(r)
		n++
	}
	return into[:n], true
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// that make a into b (optimal string alignment).
func distance(a, b []rune) int {
	var rows [3][maxNear + 1]int
	before, previous, current := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
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
