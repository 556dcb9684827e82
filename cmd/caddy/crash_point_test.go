package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/crashpoint"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// crashPackages are those whose every statement is a step at which a crash may
// come.
var crashPackages = []string{"reset", "embeddedstore", "kv", "kv/sealed", "web", "directory", "smtpout", "webhookout", "caddymodule"}

// secondCrash is the share of runs that crash again while they recover, one in
// so many.
const secondCrash = 3

// crashing builds a program of this module that can be killed before any
// statement.
func crashing(t testing.TB, program string, edits ...edit) string {
	t.Helper()
	dir := t.TempDir()
	o, err := edited(dir, slices.Concat(haste, edits)...)
	if err == nil {
		_, err = crashpoint.Plant(o, crashPackages...)
	}
	path := filepath.Join(dir, "program")
	if err == nil {
		err = buildEdited(o, path, program)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A crash is where a program dies.
type crash struct {
	point string
	hit   int
	again string // where the next one dies, while it recovers; "" for nowhere
}

func (c crash) String() string {
	return fmt.Sprintf("%s=%q %s=%d %s=%q", crashpoint.PointVariable, c.point, crashpoint.HitVariable, c.hit, crashAgain, c.again)
}

// crashAgain names where the program dies a second time.
const crashAgain = "CRASH_AGAIN"

// crashFromEnvironment returns the one crash that a run is to repeat.
func crashFromEnvironment() (crash, bool) {
	c := crash{point: os.Getenv(crashpoint.PointVariable), again: os.Getenv(crashAgain)}
	c.hit, _ = strconv.Atoi(cmp.Or(os.Getenv(crashpoint.HitVariable), "1"))
	return c, c.point != ""
}

// A crashReport says what a run came to.
type crashReport struct {
	died, diedAgain bool
	found           error
}

// meet has people go about their business until the program dies at the point,
// and holds that nothing is lost and nobody is stuck.
func (c crash) meet(t testing.TB, program string, patience time.Duration) (report crashReport) {
	w := newWorld(t)
	w.Binary = program
	o := new(outage)
	s := newStory(w, people(3), o.wrap)
	s.patience = patience

	s.Env[crashpoint.PointVariable], s.Env[crashpoint.HitVariable] = c.point, strconv.Itoa(c.hit)
	report.died = !s.begin()
	if !report.died {
		newJourney(s, o).walk()
		report.died = s.wasKilled()
	}
	o.over()
	if c.again != "" {
		s.Env[crashpoint.PointVariable], s.Env[crashpoint.HitVariable] = c.again, "1"
		report.diedAgain = !s.begin()
		if !report.diedAgain {
			s.recovers()
			report.diedAgain = s.wasKilled()
		}
	}
	delete(s.Env, crashpoint.PointVariable)
	if !s.begin() {
		report.found = fmt.Errorf("the program does not start again:\n%s", s.log)
		return report
	}
	report.found = s.holds()
	return report
}

// passed lists the points that a journey comes by which no crash ends, and
// returns its story.
func passed(t testing.TB, program string) ([]crashpoint.Point, *story) {
	t.Helper()
	w := newWorld(t)
	w.Binary = program
	o := new(outage)
	s := newStory(w, people(3), o.wrap)
	points := s.lists(func() {
		if !s.begin() {
			t.Fatalf("the program does not start:\n%s", w.log)
		}
		newJourney(s, o).walk()
		s.wasKilled()
	})
	return points, s
}

// reached lists the points of a journey, and those that a program comes by which
// recovers from a crash in the middle of one.
func reached(t testing.TB, program string) (first, recovering []crashpoint.Point) {
	t.Helper()
	first, s := passed(t, program)
	if !s.begin() {
		t.Fatalf("the program does not start again:\n%s", s.log)
	}
	newJourney(s, new(outage)).begun()
	s.crash()
	recovering = s.lists(func() {
		if !s.begin() {
			t.Fatalf("the program does not start a third time:\n%s", s.log)
		}
		s.recovers()
		s.wasKilled()
	})
	if !s.begin() {
		t.Fatalf("the program does not start a last time:\n%s", s.log)
	}
	if err := s.holds(); err != nil {
		t.Fatalf("without a crash at any point: %v", err)
	}
	return first, recovering
}

// lists returns the points that a program comes by, sorted, so that chance
// chooses the same ones again.
func (s *story) lists(during func()) []crashpoint.Point {
	s.t.Helper()
	path := filepath.Join(s.Home, "points")
	s.Env[crashpoint.ListVariable] = path
	during()
	delete(s.Env, crashpoint.ListVariable)
	points, err := crashpoint.Read(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(points, func(a, b crashpoint.Point) int { return strings.Compare(a.Name, b.Name) })
	return points
}

// wasKilled ends a program that has not died already, as an operator does, and
// tells whether it has died.
func (s *story) wasKilled() bool {
	s.t.Helper()
	s.leave()
	s.stop()
	s.died()
	status, _ := s.process.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		return false
	}
	s.uncertain()
	return true
}

// crashTrial kills a program at many points, one run each.
func crashTrial(t *testing.T, tr *trial.Trial, program string, wide int, choose func(first, recovering []crashpoint.Point) []crash) {
	var first, recovering []crashpoint.Point
	var crashes []crash
	if one, ok := crashFromEnvironment(); ok {
		crashes = []crash{one}
	} else {
		first, recovering = reached(t, program)
		crashes = choose(slices.Clone(first), recovering)
	}
	reports := make([]crashReport, len(crashes))
	beside(t, wide, len(crashes), func(t testing.TB, n int) {
		reports[n] = crashes[n].meet(t, program, time.Minute)
		if err := reports[n].found; err != nil {
			t.Error(err)
		}
	}, func(n int, why string) {
		tr.Violation("to repeat this: %s go test -run '^%s$' .\n%s", crashes[n], t.Name(), why)
	})
	died, again := 0, 0
	points := make(map[string]bool)
	for n, r := range reports {
		tr.Run()
		points[crashes[n].point] = true
		if r.died {
			died++
		}
		if r.diedAgain {
			again++
		}
	}
	if 2*died < len(crashes) {
		t.Errorf("only %d of %d runs came to a crash: most of them have tried nothing", died, len(crashes))
	}
	tr.Figures(fmt.Sprintf("%d of %d points, %d crashes, %d of them again while recovering", len(points), len(first), died, again))
}
