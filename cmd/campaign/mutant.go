package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/mutant"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
)

// maxMutant bounds one run of the tests of a mutant.
const maxMutant = 5 * time.Minute

// runMutants plants each fault and expects its test to fail. A fault that no
// test finds is a violation: what it took away could be lost unseen.
func (c *campaign) runMutants(ctx context.Context, limit time.Duration) []row {
	mutants := slices.DeleteFunc(slices.Clone(c.mutants), func(m mutant.Mutant) bool { return !c.match.MatchString(m.String()) })
	if len(mutants) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	rows := make([]row, len(mutants))
	bases := c.baselines(ctx, mutants)
	places := make(chan struct{}, runtime.NumCPU())
	var wg sync.WaitGroup
	for i, m := range mutants {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			rows[i] = c.runMutant(ctx, m, bases[m.Package])
			fmt.Fprintf(c.progress, "%s %s: %s\n", clock(), m, rows[i].Note)
		})
	}
	wg.Wait()
	return rows
}

// A baseline is how the tests of a package end without a mutant: one that fails
// anyway finds nothing.
type baseline struct {
	err    error
	ledger *ledger
}

// baselines runs the tests of all mutants, by package.
func (c *campaign) baselines(ctx context.Context, mutants []mutant.Mutant) map[string]baseline {
	runs := make(map[string][]string)
	for _, m := range mutants {
		if !slices.Contains(runs[m.Package], m.Run) {
			runs[m.Package] = append(runs[m.Package], m.Run)
		}
	}
	bases := make(map[string]baseline)
	o, err := overlay.New("")
	for pack, patterns := range runs {
		b := baseline{err: err, ledger: newLedger()}
		if err == nil {
			b.err = c.goTest(ctx, o.Root(), maxMutant, nil, []string{"-run", strings.Join(patterns, "|"), pack}, b.ledger.add)
		}
		bases[pack] = b
	}
	return bases
}

// fails says what is wrong with the test of a mutant, "" if nothing is.
func (b baseline) fails(m mutant.Mutant) string {
	if b.err == nil {
		return ""
	}
	known := false
	for _, t := range b.ledger.tests {
		if t.end == "pass" || t.end == "skip" || t.test != topOf(t.test) {
			continue
		}
		known = true
		if matched, err := regexp.MatchString(m.Run, t.test); matched || err != nil {
			return t.output
		}
	}
	if known {
		return "" // it was another test
	}
	return fmt.Sprintf("%v\n%s%s", b.err, b.ledger.stray, outputs(b.ledger))
}

// runMutant runs the test of one mutant.
func (c *campaign) runMutant(ctx context.Context, m mutant.Mutant, base baseline) row {
	r := row{Phase: "mutants", State: unfinished, Package: m.Package, Test: m.Run}
	r.Name = m.String()
	// In single quotes for the shell, so without one.
	r.Replay = "go run ./cmd/campaign -only mutants -run '" + strings.ReplaceAll(regexp.QuoteMeta(m.String()), "'", ".") + "'"
	if ctx.Err() != nil {
		r.Note = "not begun"
		return r
	}
	if wrong := base.fails(m); wrong != "" {
		r.State, r.Violations, r.Note, r.Output = violated, 1, "its test fails without it, too", wrong
		return r
	}
	dir, err := os.MkdirTemp("", "campaign-mutant-")
	if err != nil {
		r.Note = err.Error()
		return r
	}
	defer os.RemoveAll(dir)
	root, env, err := planted(ctx, m, dir)
	if err != nil {
		r.State, r.Violations, r.Note = violated, 1, err.Error()
		return r
	}
	began := time.Now()
	l := newLedger()
	err = c.goTest(ctx, root, maxMutant, env, []string{"-timeout", maxMutant.String(), "-run", m.Run, m.Package}, l.add)
	r.Seconds = time.Since(began).Seconds()
	r.Runs = 1
	finder := l.finder()
	switch {
	case ctx.Err() != nil:
		r.Note = "did not end"
	case finder != "":
		r.State, r.Note, r.Replay = passed, fmt.Sprintf("found by %s in %s", finder, seconds(r.Seconds)), ""
	case err == nil:
		r.State, r.Violations, r.Note = violated, 1, "survived"
	default:
		// It hangs, or kills the test binary: which test has found it, and
		// whether one has, is not known.
		r.State, r.Violations, r.Note, r.Output = violated, 1, "no test failed: "+err.Error(), l.stray+outputs(l)
	}
	return r
}

// planted returns the root of the module, and the environment in which every
// build has the fault, those that a test starts included: tests of the whole
// program build it themselves.
func planted(ctx context.Context, m mutant.Mutant, dir string) (root string, env []string, err error) {
	o, err := overlay.New(dir)
	if err != nil {
		return "", nil, err
	}
	if err := o.Replace(m.File, m.Old, m.New); err != nil {
		return "", nil, err
	}
	flag, err := o.Flag()
	if err != nil {
		return "", nil, err
	}
	flags, err := exec.CommandContext(ctx, "go", "env", "GOFLAGS").Output()
	if err != nil {
		return "", nil, fmt.Errorf("asking for GOFLAGS: %w", err)
	}
	env = []string{"GOFLAGS=" + strings.TrimSpace(string(flags)) + " " + flag}
	// A test of the whole program would fail on a fault that does not build,
	// and seem to have found it.
	build := exec.CommandContext(ctx, "go", "build", "./"+path.Dir(m.File))
	build.Dir, build.Env = o.Root(), append(os.Environ(), env...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("the mutant does not build: %w\n%s", err, out)
	}
	return o.Root(), env, nil
}

// finder returns the first test that failed, or that the test binary died of a
// panic in another goroutine. That it took too long says nothing.
func (l *ledger) finder() string {
	for _, t := range l.tests {
		if t.end == "fail" {
			return t.test
		}
	}
	if said := outputs(l); died.MatchString(said) && !strings.Contains(said, "panic: test timed out") {
		return "the end of the test binary"
	}
	return ""
}

var died = regexp.MustCompile(`(?m)^(panic|fatal error): `)

func outputs(l *ledger) string {
	var b strings.Builder
	for _, said := range l.builds {
		b.WriteString(said)
	}
	for _, p := range l.packages {
		b.WriteString(p.output)
	}
	for _, t := range l.tests {
		b.WriteString(t.output)
	}
	return keep(b.String())
}
