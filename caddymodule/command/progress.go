package command

import (
	"fmt"
	"io"
	"time"
)

// progressPace is how often it moves.
const progressPace = 200 * time.Millisecond

// A progress shows on a terminal how far a copy has come.
type progress struct {
	out   *printer // nil: nobody looks
	doing string
	total int64 // in bytes; less than 1: not known
	done  int64
	shown time.Time
}

func newProgress(out io.Writer, doing string) *progress {
	p := &progress{doing: doing}
	if isTerminal(out) {
		p.out = newPrinter(out)
	}
	return p
}

// read counts what is read through it.
func (p *progress) read(r io.Reader) io.Reader { return io.TeeReader(r, p) }

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	switch now := time.Now(); {
	case now.Sub(p.shown) < progressPace && p.done != p.total:
	case p.total > 0 && p.done == p.total:
		p.say("checking")
	case p.total > 0:
		p.shown = now
		p.say(fmt.Sprintf("%s %d %% of %s", p.doing, 100*p.done/p.total, size(p.total)))
	default:
		p.shown = now
		p.say(fmt.Sprintf("%s %s", p.doing, size(p.done)))
	}
	return len(b), nil
}

// say puts a line in the place of the last one.
func (p *progress) say(text string) {
	if p.out != nil {
		p.out.printf("\r\x1b[K%s …", text)
	}
}

// end clears the line.
func (p *progress) end() {
	if p.out != nil {
		p.out.printf("\r\x1b[K")
	}
}
