//go:build unix

package process

import "testing"

func TestPortsAreReservedUntilReleased(t *testing.T) {
	p, err := ReservePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	if p.Numbers[0] == p.Numbers[1] {
		t.Errorf("one port twice: %v", p.Numbers)
	}
	other := &Ports{}
	defer other.Release()
	if err := other.take(p.Numbers[0]); err != nil || len(other.Numbers) != 0 {
		t.Errorf("a reserved port was taken: %v, %v", other.Numbers, err)
	}
	taken := p.Numbers[0]
	p.Release()
	if err := other.take(taken); err != nil || len(other.Numbers) != 1 {
		t.Errorf("a released port was not taken: %v, %v", other.Numbers, err)
	}
}

func TestLastLines(t *testing.T) {
	tests := []struct {
		text string
		n    int
		want string
	}{
		{"", 2, ""}, {"a\n", 2, "a"}, {"a\nb\nc\n", 2, "b\nc"}, {"a\nb", 2, "a\nb"}, {"a\nb", 0, ""},
	}
	for _, tt := range tests {
		if got := string(LastLines([]byte(tt.text), tt.n)); got != tt.want {
			t.Errorf("the last %d lines of %q: got %q, want %q", tt.n, tt.text, got, tt.want)
		}
	}
}
