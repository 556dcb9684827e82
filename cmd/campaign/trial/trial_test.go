package trial_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// A recorder is a test that keeps what a trial does with it.
type recorder struct {
	testing.TB
	failed   bool
	attrs    []string
	cleanups []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Logf(string, ...any)       {}
func (r *recorder) Errorf(string, ...any)     { r.failed = true }
func (r *recorder) Error(...any)              { r.failed = true }
func (r *recorder) Failed() bool              { return r.failed }
func (r *recorder) Skipped() bool             { return false }
func (r *recorder) Attr(name, value string)   { r.attrs = append(r.attrs, name+"="+value) }
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func TestRows(t *testing.T) {
	t.Setenv("CAMPAIGN_SEED", "7")
	for _, tt := range []struct {
		name   string
		try    func(*recorder, *trial.Trial)
		want   trial.Row
		failed bool
	}{
		{"nothing found", func(_ *recorder, tr *trial.Trial) { tr.Run(); tr.Runs(2) }, trial.Row{Runs: 3}, false},
		{"found", func(_ *recorder, tr *trial.Trial) { tr.Run(); tr.Violation("x"); tr.Violation("y") }, trial.Row{Runs: 1, Violations: 2}, true},
		{"failed in another way", func(r *recorder, tr *trial.Trial) { tr.Run(); r.Error("x") }, trial.Row{Runs: 1, Violations: 1}, true},
		{"figures", func(_ *recorder, tr *trial.Trial) { tr.Run(); tr.Figures("1 ms"); tr.Figures("2 MiB") }, trial.Row{Runs: 1, Figures: "1 ms; 2 MiB"}, false},
		{"tried nothing", func(*recorder, *trial.Trial) {}, trial.Row{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			tt.try(r, trial.New(r, tt.name))
			for _, f := range r.cleanups {
				f()
			}
			if r.failed != tt.failed {
				t.Errorf("failed: %v", r.failed)
			}
			if len(r.attrs) != 1 {
				t.Fatalf("%d rows", len(r.attrs))
			}
			var got trial.Row
			if err := json.Unmarshal([]byte(strings.TrimPrefix(r.attrs[0], trial.Attribute+"=")), &got); err != nil {
				t.Fatal(err)
			}
			tt.want.Name, tt.want.Seed = tt.name, 7
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSize(t *testing.T) {
	for campaign, want := range map[string]int{"": 3, "night": 1000} {
		t.Setenv("CAMPAIGN", campaign)
		r := &recorder{TB: t}
		if got := trial.New(r, "x").Size(3, 1000); got != want {
			t.Errorf("CAMPAIGN=%s: %d", campaign, got)
		}
	}
}

func TestChanceIsRepeatable(t *testing.T) {
	t.Setenv("CAMPAIGN_SEED", "7")
	a, b := trial.New(&recorder{TB: t}, "a"), trial.New(&recorder{TB: t}, "b")
	if a.Rand(1).Uint64() != b.Rand(1).Uint64() || a.Rand(1).Uint64() == a.Rand(2).Uint64() {
		t.Error("chance does not depend on seed and stream alone")
	}
}
