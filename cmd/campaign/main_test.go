package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// campaignOn runs the command on the tiny package and returns its rows by
// name, and what it said meanwhile.
func campaignOn(t *testing.T, args ...string) (rows map[string]row, progress string, status int) {
	t.Helper()
	// What this test was told is not meant for the tests of the tiny package.
	for _, name := range []string{"CAMPAIGN", "CAMPAIGN_SEED"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), append([]string{"-json"}, append(args, "./testdata/tiny")...), &stdout, &stderr)
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	rows = make(map[string]row)
	for _, row := range r.Rows {
		rows[row.Name] = row
	}
	return rows, stderr.String(), status
}

func TestCampaign(t *testing.T) {
	rows, progress, status := campaignOn(t, "-for", "2m", "-seed", "7", "-run", "tiny.TestTrial|tiny.TestMeasure")
	if status != 1 {
		t.Errorf("status %d after a violation", status)
	}
	const tiny = "cmd/campaign/testdata/tiny."
	for name, want := range map[string]row{
		"a number beyond the bounds": {State: passed},
		"what is found":              {State: violated},
		"time":                       {State: passed},
		tiny + "TestTrialSkipped":    {State: skipped, Note: "strace is missing"},
		tiny + "TestTrialHangs":      {State: skipped, Note: "does not hang today"},
	} {
		if got := rows[name]; got.State != want.State || got.Note != want.Note {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if len(rows) != 5 {
		t.Errorf("%d rows", len(rows))
	}
	if r := rows["a number beyond the bounds"]; r.Runs != 100 || r.Seed != 7 {
		t.Errorf("not the night's size, or another seed: %+v", r)
	}
	if r := rows["time"]; r.Figures != "1 ms" || r.Phase != "measures" {
		t.Errorf("%+v", r)
	}
	if r := rows["what is found"]; !strings.Contains(r.Output, "planted") || !strings.Contains(r.Replay, "CAMPAIGN_SEED=7") {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(progress, rows["what is found"].Replay) {
		t.Errorf("it does not say at once how to try again what is found:\n%s", progress)
	}
}

// A trial that does not end is cut off, and said.
func TestCampaignIsBounded(t *testing.T) {
	t.Setenv("TINY_HANG", "1")
	rows, _, status := campaignOn(t, "-for", "4s", "-only", "trials", "-run", "Hangs")
	if r := rows["cmd/campaign/testdata/tiny.TestTrialHangs"]; r.State != unfinished || status != 1 {
		t.Errorf("status %d, %+v", status, r)
	}
}

func TestCampaignFuzzes(t *testing.T) {
	rows, _, status := campaignOn(t, "-for", "20s", "-run", "FuzzClamp")
	if r := rows["cmd/campaign/testdata/tiny.FuzzClamp"]; r.State != passed || r.Runs == 0 || status != 0 {
		t.Errorf("status %d, %+v", status, r)
	}
}

// Nothing tried is no good news.
func TestCampaignOfNothing(t *testing.T) {
	if rows, _, status := campaignOn(t, "-run", "no such test"); status != 1 || len(rows) != 0 {
		t.Errorf("status %d, %v", status, rows)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-run", "("}, {"-only", "everything"}, {"-for", "soon"}} {
		var out bytes.Buffer
		if status := run(t.Context(), args, &out, &out); status != 2 || out.Len() == 0 {
			t.Errorf("%q: status %d, %s", args, status, out.String())
		}
	}
}
