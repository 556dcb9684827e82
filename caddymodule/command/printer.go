package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A printer prints for people. Colours only underline what the words say, and go
// to a terminal only; NO_COLOR switches them off (https://no-color.org).
type printer struct {
	out    io.Writer
	colour bool
}

func newPrinter(out io.Writer) *printer {
	return &printer{out: out, colour: isTerminal(out) && os.Getenv("NO_COLOR") == ""}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printf prints; that nobody reads it is no fault.
func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

func (p *printer) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) bold(text string) string { return p.paint("1", text) }
func (p *printer) good(text string) string { return p.paint("32", text) }
func (p *printer) warn(text string) string { return p.paint("33", text) }
func (p *printer) bad(text string) string  { return p.paint("31", text) }

// step paints the name of a step, which fills ten characters.
func (p *printer) step(name string) string {
	padded := fmt.Sprintf("%-10s", name)
	switch reset.Step(name) {
	case reset.StepMailed, reset.StepChanged:
		return p.good(padded)
	case reset.StepUnknown, reset.StepLimited, reset.StepPending, reset.StepRefused:
		return p.warn(padded)
	case reset.StepRejected, reset.StepExpired, reset.StepFailed, reset.StepGone, reset.StepSuperseded, reset.StepCancelled, reset.StepRevoked:
		return p.bad(padded)
	default:
		return padded
	}
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
}

// several is a number of things.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
