package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func exportCommand() *cobra.Command {
	var f seatFlags
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Writes a copy of the store, also while Caddy runs",
		Long: `
Writes a copy of the store as it is at one moment, while requests and mails go
on. The copy is checked before its first byte is written, and is sealed as the
store is: it is worth nothing without the key, which is not in it. Keep the key
elsewhere. FILE must not exist; - is the standard output.`,
		Example: `  caddy password-reset export reset-$(date +%F).db
  caddy password-reset export - | ssh backup 'cat > reset.db'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			g := newGauge(cmd.ErrOrStderr(), "copying")
			g.say("making and checking a copy")
			answer, err := s.do(cmd.Context(), http.MethodGet, "export", nil)
			if err != nil {
				g.end()
				return err
			}
			defer answer.Body.Close()
			g.total = answer.ContentLength
			n, err := writeCopy(cmd.OutOrStdout(), args[0], g.read(answer.Body))
			g.end()
			if err != nil {
				return err
			}
			if args[0] != "-" {
				newPrinter(cmd.OutOrStdout()).printf("%s, %s\n", args[0], size(n))
			}
			return nil
		},
	}
	f.add(cmd)
	takes(cmd, nil)
	return cmd
}

// writeCopy writes a copy to a file that only its owner may read, under its name
// only when it is whole.
func writeCopy(stdout io.Writer, name string, from io.Reader) (n int64, err error) {
	if name == "-" {
		return io.Copy(stdout, from)
	}
	if _, err := os.Lstat(name); err == nil {
		return 0, fmt.Errorf("%s exists; name another file", name)
	}
	part, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part-*") // 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	n, err = io.Copy(part, from)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return n, fmt.Errorf("writing %s: %w", name, err)
	}
	return n, os.Rename(part.Name(), name)
}

func restoreCommand() *cobra.Command {
	var f seatFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Puts a copy in the place of the store, also while Caddy runs",
		Long: `
Puts a copy in the place of the store. The copy is checked first, with the key
too; a wrong one changes nothing. While it is put in place, password reset
answers 503 for a moment, and everything else is served. The store of before is
kept beside it, and the command says where.

What happened since the copy was made is unknown to it: all links and codes in it
are void, and people whose new password the app did not have yet are told to ask
again. FILE may be - for the standard input.`,
		Example: `  caddy password-reset restore reset-2026-11-22.db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in io.Reader = cmd.InOrStdin()
			g := newGauge(cmd.ErrOrStderr(), "reading")
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close()
				if info, err := file.Stat(); err == nil {
					g.total = info.Size()
				}
				in = file
			}
			s, err := f.openToRestore(cmd.Context())
			if err != nil {
				return err
			}
			var done shownRestore
			err = s.send(cmd.Context(), http.MethodPost, "restore", g.read(in), &done)
			g.end()
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			p.printf("restored; links and codes of before are void\n")
			if done.Kept != "" {
				p.printf("the store of before is kept: %s\n", done.Kept)
			}
			return nil
		},
	}
	f.add(cmd)
	takes(cmd, nil)
	return cmd
}

// gaugePace is how often a gauge moves.
const gaugePace = 200 * time.Millisecond

// A gauge shows on a terminal how far a copy has come.
type gauge struct {
	p     *printer // nil: nobody looks
	doing string
	total int64 // in bytes; less than 1: not known
	done  int64
	shown time.Time
}

func newGauge(out io.Writer, doing string) *gauge {
	g := &gauge{doing: doing}
	if isTerminal(out) {
		g.p = newPrinter(out)
	}
	return g
}

// read counts what is read through it.
func (g *gauge) read(r io.Reader) io.Reader { return io.TeeReader(r, g) }

func (g *gauge) Write(b []byte) (int, error) {
	g.done += int64(len(b))
	switch now := time.Now(); {
	case now.Sub(g.shown) < gaugePace && g.done != g.total:
	case g.total > 0 && g.done == g.total:
		g.say("checking")
	case g.total > 0:
		g.shown = now
		g.say(fmt.Sprintf("%s %d %% of %s", g.doing, 100*g.done/g.total, size(g.total)))
	default:
		g.shown = now
		g.say(fmt.Sprintf("%s %s", g.doing, size(g.done)))
	}
	return len(b), nil
}

// say puts a line in the place of the last one.
func (g *gauge) say(text string) {
	if g.p != nil {
		g.p.printf("\r\x1b[K%s …", text)
	}
}

// end clears the line.
func (g *gauge) end() {
	if g.p != nil {
		g.p.printf("\r\x1b[K")
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
