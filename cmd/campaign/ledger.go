package main

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// maxOutput bounds what is kept of one test: the end, where a failure and a
// dump of goroutines begin to matter, and the beginning, where the seed is.
const maxOutput = 64 << 10

// A ledger gathers the events of one or several runs of go test and makes rows
// of them.
type ledger struct {
	tests    []*test
	byName   map[testName]*test
	packages []*pack
	byPath   map[string]*pack
	builds   map[string]string // output of builds, by ImportPath
	stray    string            // what the go command said of no package

	ended func(*test) // is told of each test, not of its subtests
}

// A test is a top-level test or a subtest.
type test struct {
	testName
	begun   bool
	end     string // pass, fail, skip, or "" while it runs
	rows    []trial.Row
	broken  string // an attribute that is no row
	output  string // of a top-level test, with that of its subtests
	reason  string // the last line that it logged
	seconds float64
}

// A pack is a package under test.
type pack struct {
	path, end, failedBuild, output string
}

func newLedger() *ledger {
	return &ledger{
		byName: make(map[testName]*test), byPath: make(map[string]*pack), builds: make(map[string]string),
		ended: func(*test) {},
	}
}

// expect notes a test that is to run, so that it is missed if it does not.
func (l *ledger) expect(n testName) { l.test(n.pack, n.test) }

func (l *ledger) add(e event) {
	switch {
	case e.Package == "" && e.ImportPath != "":
		l.builds[e.ImportPath] = keep(l.builds[e.ImportPath] + e.Output)
	case e.Package == "":
		l.stray = keep(l.stray + e.Output)
	case e.Test == "":
		l.addPackage(e)
	default:
		l.addTest(e)
	}
}

func (l *ledger) addPackage(e event) {
	p := l.pack(e.Package)
	switch e.Action {
	case "output":
		p.output = keep(p.output + e.Output)
	case "pass", "fail", "skip":
		p.end, p.failedBuild = e.Action, e.FailedBuild
	}
}

// logged is a line that a test has logged.
var logged = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)`)

func (l *ledger) addTest(e event) {
	t := l.test(e.Package, e.Test)
	t.begun = true
	switch e.Action {
	case "output":
		top := l.test(e.Package, topOf(e.Test))
		top.output = keep(top.output + e.Output)
		if m := logged.FindStringSubmatch(e.Output); m != nil {
			t.reason = m[1]
		}
	case "attr":
		if e.Key != trial.Attribute {
			return
		}
		var r trial.Row
		if err := json.Unmarshal([]byte(e.Value), &r); err != nil {
			t.broken = e.Value
			return
		}
		t.rows = append(t.rows, r)
	case "pass", "fail", "skip":
		t.end, t.seconds = e.Action, e.Elapsed
		if t.test == topOf(t.test) {
			l.ended(t)
		}
	}
}

func (l *ledger) test(pack, name string) *test {
	n := testName{pack, name}
	t, ok := l.byName[n]
	if !ok {
		t = &test{testName: n}
		l.byName[n] = t
		l.tests = append(l.tests, t)
	}
	return t
}

func (l *ledger) pack(p string) *pack {
	if l.byPath[p] == nil {
		l.byPath[p] = &pack{path: p}
		l.packages = append(l.packages, l.byPath[p])
	}
	return l.byPath[p]
}

// rows returns what is known, in the order in which it began. Nothing that was
// expected or begun is without a row.
func (l *ledger) rows(phase string) []row {
	var rows []row
	for _, t := range l.tests {
		rows = append(rows, l.rowsOf(t)...)
	}
	blamed := make(map[string]bool)
	for _, r := range rows {
		if failed(r) {
			blamed[r.Package] = true
		}
	}
	for _, p := range l.packages {
		if p.end == "fail" && (p.failedBuild != "" || !blamed[p.path]) {
			rows = append(rows, l.rowOf(p))
		}
	}
	for i := range rows {
		rows[i].Phase = phase
		if failed(rows[i]) && rows[i].Replay == "" {
			rows[i].Replay = replay(rows[i])
		}
	}
	return rows
}

func (l *ledger) rowsOf(t *test) []row {
	base := row{Package: t.pack, Test: t.test, Seconds: t.seconds, State: passed}
	base.Name = t.short()
	var rows []row
	for _, r := range t.rows {
		one := base
		one.Row = r
		if r.Violations > 0 {
			one.State, one.Output = violated, l.outputOf(t)
		}
		rows = append(rows, one)
	}
	top := t.test == topOf(t.test)
	switch {
	case t.broken != "":
		base.State, base.Violations, base.Note = violated, 1, "its row does not decode: "+t.broken
	case t.end == "skip":
		base.State, base.Note = skipped, t.reason
	case !top:
		return rows // its own end is part of that of the test around it
	case !t.begun:
		base.State, base.Note = unfinished, "not begun"
	case t.end == "":
		base.State, base.Note = unfinished, "did not end"
	case t.end == "fail" && !l.admits(t):
		base.State, base.Runs, base.Violations, base.Note = violated, 1, 1, "failed without a row"
	case len(rows) == 0 && !l.hasRows(t):
		base.Runs = 1
	default:
		return rows
	}
	if base.State == violated || base.State == unfinished && t.begun {
		base.Output = l.outputOf(t)
	}
	return append(rows, base)
}

// rowOf returns the row of a package that failed beside its tests: it was not
// built, or died before or after them.
func (l *ledger) rowOf(p *pack) row {
	r := row{Package: p.path, State: violated, Note: "failed outside its tests", Output: p.output}
	r.Name, r.Violations = "package "+shortPath(p.path), 1
	if p.failedBuild != "" {
		r.Note, r.Output = "not built", l.builds[p.failedBuild]
	}
	return r
}

// admits reports whether a row of the test or its subtests says that something
// was found.
func (l *ledger) admits(t *test) bool {
	return l.anyRow(t, func(r trial.Row) bool { return r.Violations > 0 })
}

func (l *ledger) hasRows(t *test) bool {
	return l.anyRow(t, func(trial.Row) bool { return true })
}

func (l *ledger) anyRow(t *test, is func(trial.Row) bool) bool {
	for _, other := range l.tests {
		if other.pack != t.pack || topOf(other.test) != t.test {
			continue
		}
		for _, r := range other.rows {
			if is(r) {
				return true
			}
		}
	}
	return false
}

func (l *ledger) outputOf(t *test) string { return l.test(t.pack, topOf(t.test)).output }

func topOf(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}

// keep cuts the middle out of what is too long.
func keep(s string) string {
	if len(s) <= 2*maxOutput {
		return s
	}
	return s[:maxOutput/2] + "\n[…]\n" + s[len(s)-maxOutput:]
}
