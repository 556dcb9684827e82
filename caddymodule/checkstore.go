package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// checkStore opens the store as Caddy does, or asks it where Caddy has it open.
func (c *checkup) checkStore(ctx context.Context) []Finding {
	b, local := c.app.store.opener.(*BboltStore)
	if key := c.app.store.opener.StoreKey(); c.inUse == key {
		return []Finding{{Step: "open", Seen: strings.TrimPrefix(key, "bbolt:") + ", by the Caddy that runs"}}
	}
	if !c.running && local {
		if found, done := checkFile(b.path); done {
			return found
		}
	}
	step := Finding{Step: "open"}
	if local {
		step.Seen = b.path
		if info, err := os.Stat(b.path); err == nil {
			step.Seen += ", " + size(info.Size())
		}
	}
	var waiting []reset.Backlog
	err := c.app.onService(ctx, func(s *reset.Service) (err error) {
		waiting, err = s.Backlog(ctx)
		return err
	})
	if err != nil {
		step.Problem, step.Broken = err.Error(), true
		step.Cure = "do what the error says; docs/operators.md lists each, under “The store”"
		if errors.Is(err, embeddedstore.ErrInUse) {
			step.Problem = "another process has the store open"
			step.Cure = "if it is the Caddy that runs this configuration, run the check without --config; if it is another one, give each a `store` of its own"
		}
		return []Finding{step}
	}
	jobs := Finding{Step: "queues", Seen: "nothing waits"}
	n := 0
	for _, w := range waiting {
		n += w.Waiting
	}
	if n > 0 {
		jobs.Seen = several(n, "job") + " waiting; caddy password-reset jobs lists them"
	}
	return []Finding{step, jobs}
}

// checkFile looks at what cannot be opened yet, or not by whoever asks: a check
// leaves no file behind.
func checkFile(path string) (found []Finding, done bool) {
	step := Finding{Step: "file", Seen: path}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []Finding{checkFolder(step)}, true
	}
	if err != nil {
		step.Problem, step.Broken = "it cannot be looked at: "+cause(err), true
		step.Cure = "run the check as the user that Caddy runs as, and let that user read and enter each folder above it"
		return []Finding{step}, true
	}
	if owner, mine := ownedByMe(info); !mine {
		step.Problem = fmt.Sprintf("it belongs to the user with id %d, and was not opened: files would be left that Caddy cannot use", owner)
		step.Cure = fmt.Sprintf("run the check as that user: sudo -u '#%d' caddy password-reset check …; if Caddy runs as another one, change the owner", owner)
		return []Finding{step}, true
	}
	return nil, false
}

// checkFolder judges whether a new store can be made.
func checkFolder(step Finding) Finding {
	dir := filepath.Dir(step.Seen)
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			dir = filepath.Dir(dir)
			continue
		case err != nil:
			step.Problem, step.Broken = fmt.Sprintf("the folder %s cannot be looked at: %s", dir, cause(err)), true
			step.Cure = "let the user that Caddy runs as enter it"
		case !info.IsDir():
			step.Problem, step.Broken = dir+" is no folder", true
			step.Cure = "correct `store bbolt PATH`"
		case !writable(dir):
			step.Problem, step.Broken = fmt.Sprintf("the user that runs the check may not write to %s, so the store cannot be made there", dir), true
			step.Cure = "run the check as the user that Caddy runs as; if it is that one, let it own the folder"
		default:
			step.Seen += " will be made when Caddy first runs"
		}
		return step
	}
}

// cause is an error without the path, which is said already.
func cause(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
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
