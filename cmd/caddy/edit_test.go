package main

import (
	"fmt"
	"os/exec"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
)

// An edit is a piece of the source that a program is built with otherwise: to
// plant a fault in it, to shorten its waits, or to make it repeatable.
type edit struct{ file, old, text string }

// haste shortens the waits of the program, so that a run takes a second, and cuts
// off the table of those that take minutes. What happens in what order stays as
// it is.
var haste = []edit{
	{"reset/request.go", "minMailDelay = 200 * time.Millisecond", "minMailDelay = 10 * time.Millisecond"},
	{"reset/request.go", "maxMailDelay = 2 * time.Second", "maxMailDelay = 50 * time.Millisecond"},
	{"reset/request.go", "headStart = 3 * time.Second", "headStart = 100 * time.Millisecond"},
	{"reset/job.go", "{30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}", "{100 * time.Millisecond, 200 * time.Millisecond}"},
	{"reset/job.go", "5 * time.Second,  // 5 s", "200 * time.Millisecond, 400 * time.Millisecond,\n\t}\n\t_ = []time.Duration{"},
	{"reset/worker.go", "firstRest   = time.Second", "firstRest   = 10 * time.Millisecond"},
	{"reset/worker.go", "longestRest = 30 * time.Second", "longestRest = 100 * time.Millisecond"},
	{"reset/slot.go", "const slotPoll = time.Second", "const slotPoll = 50 * time.Millisecond"},
}

// edited returns an overlay with these edits. It is kept in dir, which must
// outlive the build.
func edited(dir string, edits ...edit) (*overlay.Overlay, error) {
	o, err := overlay.New(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range edits {
		if err := o.Replace(e.file, e.old, e.text); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// buildEdited builds a program of this module, named by its folder, to be
// started very often. It has no race detector, which makes each start slow.
func buildEdited(o *overlay.Overlay, path, program string) error {
	flag, err := o.Flag()
	if err != nil {
		return err
	}
	c := exec.Command("go", "build", flag, "-ldflags=-w", "-o", path, "./"+program)
	c.Dir = o.Root()
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", program, err, out)
	}
	return nil
}

// buildWith builds the program as all tests have it, but for these edits.
func buildWith(path, dir string, edits ...edit) error {
	o, err := edited(dir, edits...)
	if err != nil {
		return err
	}
	flag, err := o.Flag()
	if err != nil {
		return err
	}
	return build(path, flag)
}
