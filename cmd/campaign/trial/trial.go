// Package trial is how a test takes part in the campaign that cmd/campaign
// runs: it says how often the test is to try, gives it chance that can be
// repeated, and reports what came of it as one row of the campaign's table.
//
// A test that takes part is called TestTrial…, and runs in `go test ./...`
// too, at a smaller size. One that measures time is called TestMeasure…; it
// begins with [Alone] and runs in a campaign only, with nothing beside it:
// elsewhere its figures would be those of its neighbours.
//
// CAMPAIGN=night sets the larger size, and CAMPAIGN_SEED the seed of a run
// that is to be repeated.
package trial

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Attribute is the name of the attribute of a test's output that holds its
// [Row] in JSON.
const Attribute = "trial"

// A Row is what a trial reports.
type Row struct {
	Name       string `json:"name"` // the fault or the attack
	Runs       int    `json:"runs"` // how often it was tried
	Violations int    `json:"violations"`
	Seed       uint64 `json:"seed"`
	Figures    string `json:"figures,omitempty"` // what was measured, for people
}

// A Trial tries one fault or attack. Its methods may be called from several
// goroutines at once.
type Trial struct {
	t testing.TB

	mu  sync.Mutex
	row Row
}

// New begins a trial whose row ends with the test. A test that fails in
// another way than by [Trial.Violation] counts as one violation.
//
// Each run of a campaign tries something new. `go test ./...` tries the same
// each time, so that what it finds is about the change at hand.
func New(t testing.TB, name string) *Trial {
	t.Helper()
	tr := &Trial{t: t, row: Row{Name: name, Seed: 1}}
	if night() {
		tr.row.Seed = rand.Uint64()
	}
	if s := os.Getenv("CAMPAIGN_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("CAMPAIGN_SEED is not a number: %v", err)
		}
		tr.row.Seed = seed
	}
	t.Logf("to repeat this: CAMPAIGN_SEED=%d", tr.row.Seed)
	t.Cleanup(tr.report)
	return tr
}

// Alone skips a test that measures time, except in a campaign.
func Alone(t testing.TB) {
	t.Helper()
	if !night() {
		t.Skip("measures time: runs alone, by go run ./cmd/campaign")
	}
}

// Beside lets a test run beside others, except in a campaign: at their night
// size, tests that shorten the times of a program would make it miss them by
// what they ask of the machine together.
func Beside(t *testing.T) {
	t.Helper()
	if !night() {
		t.Parallel()
	}
}

// Size returns how often to try: ci in `go test ./...`, night in a campaign.
func (tr *Trial) Size(ci, atNight int) int {
	if night() {
		return atNight
	}
	return ci
}

// Seed returns what all chance of this trial is to come from.
func (tr *Trial) Seed() uint64 { return tr.row.Seed }

// Rand returns a source of chance that is the same for the same seed and
// stream. It is not safe for concurrent use; each goroutine takes a stream of
// its own.
func (tr *Trial) Rand(stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(tr.row.Seed, stream))
}

// Run counts one try.
func (tr *Trial) Run() { tr.Runs(1) }

// Runs counts n tries.
func (tr *Trial) Runs(n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.row.Runs += n
}

// Violation says that a try has found something that must not be, and goes on.
func (tr *Trial) Violation(format string, args ...any) {
	tr.t.Helper()
	tr.mu.Lock()
	tr.row.Violations++
	tr.mu.Unlock()
	tr.t.Errorf(format, args...)
}

// Figures adds what was measured to the row, in a few words.
func (tr *Trial) Figures(text string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.row.Figures != "" {
		tr.row.Figures += "; "
	}
	tr.row.Figures += text
}

func (tr *Trial) report() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.t.Skipped() {
		return
	}
	if tr.t.Failed() && tr.row.Violations == 0 {
		tr.row.Violations = 1
	}
	if tr.row.Runs == 0 {
		// A row without a run would look like one without a fault.
		tr.t.Error("the trial has tried nothing")
	}
	row, err := json.Marshal(tr.row)
	if err != nil {
		tr.t.Error(err)
		return
	}
	tr.t.Attr(Attribute, string(row))
}

func night() bool { return os.Getenv("CAMPAIGN") == "night" }
