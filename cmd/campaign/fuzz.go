package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// fuzzShare is the share of the campaign in which each fuzz target gets an
// equal part.
const fuzzShare = 0.15

// minFuzz is the shortest time that says anything about a target.
const minFuzz = time.Second

var (
	execs = regexp.MustCompile(`\bexecs: (\d+)`)
	// input is where the fuzzer has kept what it found: in the tree, so that
	// it is tried again by every go test.
	input = regexp.MustCompile(`Failing input written to (\S+)`)
)

func (c *campaign) fuzz(ctx context.Context, limit time.Duration) []row {
	var targets []testName
	for _, n := range c.found {
		if strings.HasPrefix(n.test, "Fuzz") {
			targets = append(targets, n)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	end := time.Now().Add(limit)
	if c.only == "" {
		// What the other phases have left over is not used up.
		limit = min(limit, time.Duration(fuzzShare*float64(c.total)))
	}
	// The rest goes into building them: each is instrumented anew.
	each := limit * 2 / 3 / time.Duration(len(targets))
	var rows []row
	for _, n := range targets {
		var r row
		if left := time.Until(end); ctx.Err() != nil || left < minFuzz {
			r = fuzzRow(n)
			r.State, r.Note = unfinished, "not begun"
		} else {
			r = c.fuzzOne(ctx, n, max(each, minFuzz))
		}
		fmt.Fprintf(c.progress, "%s %s: %d execs, %s\n", clock(), n.short(), r.Runs, r.State)
		rows = append(rows, r)
	}
	return rows
}

// fuzzOne fuzzes one target. It gets a minute more than its time, to be built
// and to make what it finds small.
func (c *campaign) fuzzOne(ctx context.Context, n testName, each time.Duration) row {
	r := fuzzRow(n)
	l := newLedger()
	var said strings.Builder
	err := c.goTest(ctx, "", each+time.Minute, nil,
		[]string{"-run", "^$", "-fuzz", "^" + n.test + "$", "-fuzztime", each.Round(time.Millisecond).String(), n.pack},
		func(e event) {
			if m := execs.FindStringSubmatch(e.Output); m != nil {
				r.Runs, _ = strconv.Atoi(m[1])
				return
			}
			said.WriteString(e.Output)
			l.add(e)
		})
	t := l.test(n.pack, n.test)
	r.Seconds, r.Figures = t.seconds, "for "+seconds(t.seconds).String()
	if m := input.FindStringSubmatch(said.String()); m != nil {
		r.Note = "found " + m[1]
	}
	switch {
	case t.end == "pass":
		return r
	case t.end == "fail" && r.Runs > 0 && r.Note == "" && strings.Contains(t.output, "\n    context deadline exceeded\n"):
		// The fuzzer may report the end of its own time as a failure
		// (golang.org/issue/75804): no input has failed.
		return r
	case t.end == "fail":
		r.State, r.Violations = violated, 1
	default:
		r.State, r.Note = unfinished, fmt.Sprintf("did not end: %v", err)
	}
	r.Output = keep(said.String())
	r.Replay = fmt.Sprintf("go test -run '^%s$' %s", n.test, packageArgument(n.pack))
	return r
}

func fuzzRow(n testName) row {
	r := row{Phase: "fuzz", State: passed, Package: n.pack, Test: n.test}
	r.Name = n.short()
	return r
}
