package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/machine"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

func itoa(n int) string { return strconv.Itoa(n) }

func sample() report {
	return report{
		Machine: "2 cores", Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 61,
		Rows: []row{
			{Row: trial.Row{Name: "Ünicode", Runs: 1000, Seed: 7, Figures: "2 ms"}, Phase: "trials", State: passed},
			{Row: trial.Row{Name: "kill -9", Runs: 3, Violations: 2, Seed: 8}, Phase: "trials", State: violated, Output: "why\n", Replay: "go test"},
			{Row: trial.Row{Name: "p.TestTrialY"}, Phase: "trials", State: skipped, Note: "strace is missing"},
			{Row: trial.Row{Name: "p.TestMeasureZ"}, Phase: "measures", State: unfinished, Note: "not begun"},
		},
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := sample().text(&b); err != nil {
		t.Fatal(err)
	}
	want := `fault or attack | runs | violations | seed and figures
— trials
Ünicode         | 1000 |          0 | seed 7; 2 ms
kill -9         |    3 |          2 | seed 8
p.TestTrialY    |    – |          – | skipped: strace is missing
— measures
p.TestMeasureZ  |    – |          – | DID NOT END: not begun

4 rows, 1003 runs, 2 violations; 1 skipped, 1 did not end. It took 1m1s.
On 2 cores, begun 2026-01-02T03:04:05Z.

--- kill -9
why
to try it again: go test

--- p.TestMeasureZ: DID NOT END: not begun
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// Only a campaign in which something was tried, all of it ended, and nothing
// was found is good news.
func TestSound(t *testing.T) {
	rows := sample().Rows
	for _, tt := range []struct {
		rows []row
		want bool
	}{
		{rows[:1], true},
		{[]row{rows[0], rows[2]}, true},
		{rows[:2], false},
		{[]row{rows[0], rows[3]}, false},
		{rows[2:3], false},
		{nil, false},
	} {
		if got := (report{Rows: tt.rows}).sound(); got != tt.want {
			t.Errorf("%v: sound %v", tt.rows, got)
		}
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := sample().json(&b); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(b.String(), `"violations": 2`) {
		t.Error("the rows are not flat")
	}
}

func TestMachine(t *testing.T) {
	if m := machine.Name(); !strings.Contains(m, "core") || !strings.Contains(m, "go1.") {
		t.Error(m)
	}
}
