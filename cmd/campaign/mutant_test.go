package main

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/mutant"
)

// What is made of a mutant: found, survived, or no mutant at all.
func TestMutants(t *testing.T) {
	const tiny = "cmd/campaign/testdata/tiny"
	lower := mutant.Mutant{
		Gone: "lower", File: tiny + "/tiny.go", Package: "./" + tiny, Run: "^TestLower$",
		Old: "	if n < least {", New: "	if false {",
	}
	with := func(change func(*mutant.Mutant)) mutant.Mutant {
		m := lower
		change(&m)
		return m
	}
	for _, tt := range []struct {
		mutant mutant.Mutant
		state  state
		note   string
	}{
		{lower, passed, "found by TestLower"},
		{with(func(m *mutant.Mutant) { m.Gone, m.Run = "fatal", "^TestFatal$" }), passed, "found by the end of the test binary"},
		{with(func(m *mutant.Mutant) { m.Gone, m.Run = "survives", "^TestBoth$" }), violated, "survived"},
		{with(func(m *mutant.Mutant) { m.Gone, m.New = "no Go", "	if n < {" }), violated, "does not build"},
		{with(func(m *mutant.Mutant) { m.Gone, m.Old = "no place", "not in there" }), violated, "0 times, and not once"},
		{with(func(m *mutant.Mutant) { m.Gone, m.Run = "no test", "^TestNobody$" }), violated, "survived"},
	} {
		t.Run(tt.mutant.Gone, func(t *testing.T) {
			t.Parallel()
			c := &campaign{match: regexp.MustCompile(""), progress: io.Discard, mutants: []mutant.Mutant{tt.mutant}}
			rows := c.runMutants(t.Context(), time.Minute)
			if len(rows) != 1 || rows[0].State != tt.state || !strings.Contains(rows[0].Note, tt.note) {
				t.Errorf("%+v", rows)
			}
		})
	}
	t.Run("a test that fails anyway", func(t *testing.T) {
		t.Parallel()
		c := &campaign{match: regexp.MustCompile(""), progress: io.Discard, mutants: []mutant.Mutant{
			with(func(m *mutant.Mutant) { m.Run = "^TestBroken$" }), lower,
		}}
		rows := c.runMutants(t.Context(), time.Minute)
		if rows[0].State != violated || !strings.Contains(rows[0].Note, "without it") || !strings.Contains(rows[0].Output, "fails anyway") {
			t.Errorf("%+v", rows[0])
		}
		if rows[1].State != passed {
			t.Errorf("another test's failure counts: %+v", rows[1])
		}
	})
}

// Some of the real ones, as the campaign runs them all.
func TestMutantsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages anew")
	}
	c := &campaign{match: regexp.MustCompile(""), progress: io.Discard}
	for _, m := range mutant.All() {
		switch m.Package {
		case "./strictjson", "./links", "./kv/sealed":
			if len(c.mutants) < 3 {
				c.mutants = append(c.mutants, m)
			}
		}
	}
	rows := c.runMutants(t.Context(), time.Minute)
	if len(rows) != 3 {
		t.Errorf("%d mutants", len(rows))
	}
	for _, r := range rows {
		if r.State != passed {
			t.Errorf("%s: %s\n%s", r.Name, r.Note, r.Output)
		}
	}
}
