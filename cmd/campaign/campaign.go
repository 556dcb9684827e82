package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/mutant"
)

// A campaign is one run of the command.
type campaign struct {
	total    time.Duration
	seed     uint64 // 0: each trial takes one of its own
	match    *regexp.Regexp
	only     string
	packages []string
	mutants  []mutant.Mutant
	progress io.Writer

	found []testName // trials, measures and fuzz targets
}

// A phase is one part of a campaign, with a share of its time.
type phase struct {
	name  string
	share float64 // of the whole
	run   func(context.Context, time.Duration) []row
}

// phases returns the parts in the order in which they run. Fuzzing comes last:
// it can use whatever time it is given.
func (c *campaign) phases() []phase {
	all := []phase{
		{"trials", 0.35, c.trials},
		{"measures", 0.25, c.measures},
		{"mutants", 0.25, c.runMutants},
		{"fuzz", fuzzShare, c.fuzz},
	}
	return slices.DeleteFunc(all, func(p phase) bool { return c.only != "" && c.only != p.name })
}

// run runs the phases, each for its share of what time is left, so that what
// one does not need is there for the next.
func (c *campaign) run(ctx context.Context) []row {
	end := time.Now().Add(c.total)
	ctx, cancel := context.WithDeadline(ctx, end.Add(2*cutGrace))
	defer cancel()
	var rows []row
	if c.only != "mutants" { // the others need to know which tests there are
		rows = c.list(ctx)
	}
	phases := c.phases()
	for i, p := range phases {
		var rest float64
		for _, q := range phases[i:] {
			rest += q.share
		}
		limit := time.Duration(float64(time.Until(end)) * p.share / rest)
		fmt.Fprintf(c.progress, "%s %s: at most %s\n", clock(), p.name, limit.Round(time.Second))
		rows = append(rows, p.run(ctx, limit)...)
	}
	return rows
}

// list finds the trials, measures and fuzz targets. What cannot be built is a
// row, lest a package be taken for one without trials.
func (c *campaign) list(ctx context.Context) []row {
	fmt.Fprintf(c.progress, "%s building the tests\n", clock())
	l := newLedger()
	add := func(e event) {
		name := strings.TrimSpace(e.Output)
		if e.Test == "" && e.Action == "output" && listed.MatchString(name) {
			n := testName{e.Package, name}
			if c.match.MatchString(n.short()) {
				c.found = append(c.found, n)
			}
			return
		}
		l.add(e)
	}
	args := append([]string{"-list", "^(TestTrial|TestMeasure|Fuzz)"}, c.packages...)
	if err := c.goTest(ctx, "", c.total, nil, args, add); err != nil && len(l.packages) == 0 {
		return []row{commandRow("listing", err, l.stray)}
	}
	return l.rows("listing")
}

var listed = regexp.MustCompile(`^(TestTrial|TestMeasure|Fuzz)\w*$`)

func (c *campaign) trials(ctx context.Context, limit time.Duration) []row {
	return c.tests(ctx, "trials", "TestTrial", limit, nil)
}

// measures run with nothing beside them, each other included.
func (c *campaign) measures(ctx context.Context, limit time.Duration) []row {
	return c.tests(ctx, "measures", "TestMeasure", limit, []string{"-p", "1", "-parallel", "1"})
}

// tests runs the found tests whose names begin with prefix.
func (c *campaign) tests(ctx context.Context, phase, prefix string, limit time.Duration, args []string) []row {
	l := newLedger()
	var names, packages []string
	for _, n := range c.found {
		if strings.HasPrefix(n.test, prefix) {
			l.expect(n)
			names, packages = append(names, n.test), append(packages, n.pack)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if limit <= 0 || ctx.Err() != nil {
		return l.rows(phase)
	}
	l.ended = func(t *test) {
		fmt.Fprintf(c.progress, "%s %s: %s in %s\n", clock(), t.short(), t.end, seconds(t.seconds))
		for _, r := range l.rowsOf(t) {
			if failed(r) { // the table, with what was found, comes when all is over
				fmt.Fprintf(c.progress, "\tto try it again: %s\n", replay(r))
			}
		}
	}
	packages = slices.Compact(packages)
	args = append(args, "-run", "^("+strings.Join(names, "|")+")$", "-timeout", limit.String())
	err := c.goTest(ctx, "", limit, c.environment(), append(args, packages...), l.add)
	rows := l.rows(phase)
	if err != nil && !slices.ContainsFunc(rows, failed) {
		rows = append(rows, commandRow(phase, err, l.stray))
	}
	return rows
}

// environment is what makes tests take part in the campaign.
func (c *campaign) environment() []string {
	env := []string{"CAMPAIGN=night"}
	if c.seed != 0 {
		env = append(env, "CAMPAIGN_SEED="+strconv.FormatUint(c.seed, 10))
	}
	return env
}

// cutGrace is how much longer than its limit a phase may take: the alarm of a
// test binary goes first, since it tells where its tests stand.
const cutGrace = 15 * time.Second

// goTest runs `go test -json` for at most limit and a little more.
//
// Packages are named from dir, "" being the working directory.
func (c *campaign) goTest(ctx context.Context, dir string, limit time.Duration, env, args []string, fn func(event)) error {
	ctx, cancel := context.WithTimeout(ctx, limit+cutGrace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-count=1", "-vet=off"}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.WaitDelay = cutGrace
	group(cmd)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the go command: %w", err)
	}
	// A child of a test may hold the pipe after the go command has gone.
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(cutGrace, func() { endGroup(cmd) })
	})
	defer stop()
	readErr := readEvents(pipe, fn)
	err = cmd.Wait()
	endGroup(cmd)
	if complaint.Len() > 0 {
		fn(event{Action: "output", Output: complaint.String()})
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("cut off: %w", ctx.Err())
	}
	return errors.Join(err, readErr)
}

// commandRow is the row of a go command that failed without saying of which
// test.
func commandRow(phase string, err error, said string) row {
	r := row{Phase: phase, State: unfinished, Note: err.Error(), Output: said}
	r.Name = "go test"
	return r
}

func clock() string { return time.Now().Format("15:04:05") }
