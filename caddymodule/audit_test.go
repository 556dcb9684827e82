package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAuditLog holds the way to an audit log in a file of its own, as
// docs/operators/watching.md has it: a line a step, with these fields and no others, and
// none of them elsewhere.
func TestAuditLog(t *testing.T) {
	w := newWatched(t)
	text := w.caddyfile(config{top: `log audit {
		output file ` + w.path("audit") + `
		format json
		include password_reset.audit
	}`})
	text = strings.Replace(text, "format json\n", "format json\n\t\texclude password_reset.audit\n", 1)
	if err := load(text); err != nil {
		t.Fatal(err)
	}
	w.journey()

	lines, err := os.ReadFile(w.path("audit"))
	if err != nil {
		t.Fatal(err)
	}
	stories := make(map[string][]string) // steps by reference
	var order []string
	for line := range bytes.Lines(lines) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		reference, _ := fields["reference"].(string)
		step, _ := fields["step"].(string)
		if site := fields["site"]; fields["logger"] != "password_reset.audit" || fields["msg"] != "step" || fields["level"] != "info" ||
			site != w.site && site != w.broken || len(reference) != 9 || step == "" {
			t.Errorf("line %s", line)
		}
		at, err := time.Parse("2006-01-02T15:04:05.000Z", fields["at"].(string))
		if err != nil || time.Since(at) > 10*time.Minute || time.Since(at) < -time.Second {
			t.Errorf("at %v: %v", fields["at"], err)
		}
		for name := range fields {
			if !slices.Contains([]string{"level", "ts", "logger", "msg", "site", "reference", "step", "detail", "at"}, name) {
				t.Errorf("a field that is not documented: %s in %s", name, line)
			}
		}
		if stories[reference] == nil {
			order = append(order, reference)
		}
		stories[reference] = append(stories[reference], step)
		if step == "mailed" && fields["detail"] != nil {
			t.Errorf("the words of a relay stand in the log: %s", line)
		}
	}
	// In the order of their names: who reads a mail at once may be faster than
	// it is noted that it has left.
	want := []string{
		"accepted asked changed found mailed opened", // alice
		"asked limited",
		"asked cancelled found mailed",               // bob
		"accepted asked found mailed opened refused", // carol
		"asked unknown",
		"asked found rejected", // dave
		"asked unknown", "asked unknown",
		"asked delayed", // of the other site
	}
	for i, reference := range order {
		if stories[reference][0] != "asked" {
			t.Errorf("request %d begins with %s", i, stories[reference][0])
		}
		slices.Sort(stories[reference])
		if got := strings.Join(stories[reference], " "); i >= len(want) || got != want[i] {
			t.Errorf("request %d: %s, want %q", i, got, want[min(i, len(want)-1)])
		}
	}
	if len(order) != len(want) {
		t.Errorf("%d requests, want %d", len(order), len(want))
	}
	if strings.Contains(w.log(), "password_reset.audit") {
		t.Error("the audit log stands in the other one, too")
	}
	for _, secret := range []string{"alice", "carol", "dave", "example.com/", "@", "legacy", "a calm sea"} {
		if bytes.Contains(lines, []byte(secret)) {
			t.Errorf("%q stands in the audit log", secret)
		}
	}
}
