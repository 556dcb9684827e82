package main

import (
	"strings"
	"testing"
)

// A row that is bad news says why, and how to see it again.
func TestRowsTellHowToReplay(t *testing.T) {
	l := newLedger()
	const p = module + "/reset"
	for _, e := range []event{
		{Action: "run", Package: p, Test: "TestTrialX"},
		{Action: "output", Package: p, Test: "TestTrialX/a.b", Output: "    x_test.go:8: the cause\n"},
		{Action: "attr", Package: p, Test: "TestTrialX/a.b", Key: "trial", Value: `{"name":"x","runs":1,"violations":1,"seed":7}`},
		{Action: "fail", Package: p, Test: "TestTrialX/a.b"},
		{Action: "fail", Package: p, Test: "TestTrialX"},
		{Action: "fail", Package: p},
	} {
		l.add(e)
	}
	rows := l.rows("trials")
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	if want := `CAMPAIGN=night CAMPAIGN_SEED=7 go test -count=1 -timeout 0 -run '^TestTrialX$/^a\.b$' ./reset`; rows[0].Replay != want {
		t.Errorf("replay %s\nwant   %s", rows[0].Replay, want)
	}
	if !strings.Contains(rows[0].Output, "the cause") {
		t.Errorf("output %q", rows[0].Output)
	}
}
