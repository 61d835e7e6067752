package diag

// The colours of a terminal, for Paint.
const (
	Bold   = "\x1b[1m"
	Red    = "\x1b[31m"
	Green  = "\x1b[32m"
	Yellow = "\x1b[33m"
	Faint  = "\x1b[2m"
	reset  = "\x1b[0m"
)

// Painter colours text, or leaves it where it is false.
type Painter bool

// Paint is text in a colour.
func (p Painter) Paint(colour, text string) string {
	if !p || text == "" {
		return text
	}
	return colour + text + reset
}
