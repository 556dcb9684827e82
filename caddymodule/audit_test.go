package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"net/http"
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

// What the operator does through the admin API stands in the audit log: also what
// belongs to no request.
func TestAuditLogOfOperator(t *testing.T) {
	w := newAdminWorld(t, "")
	w.loadAdmin(config{options: patient})
	w.inbox.SetDown(true)
	w.admin(http.StatusAccepted, "POST", "send", `{"login":"alice"}`)
	job := w.firstJob("451")
	w.steer("POST", "jobs/"+job+"/retry")
	until(t, "it was tried", func() bool {
		return strings.Contains(w.admin(http.StatusOK, "GET", "jobs/"+job, ""), `"attempts": 2`)
	})
	w.steer("DELETE", "jobs/"+job)
	copy := w.admin(http.StatusOK, "GET", "export", "")
	until(t, "the export has ended, and half a copy is none", func() bool {
		_, answer, err := w.tryAdmin("POST", "/password_reset/restore", copy[:len(copy)/2])
		return err == nil && strings.Contains(answer, "this is no copy of a store")
	})
	w.admin(http.StatusOK, "POST", "restore", copy)
	var got []string
	for _, line := range w.logged("step") {
		if line["logger"] != "password_reset.audit" || line["step"] == "found" || line["step"] == "delayed" {
			continue // none of the operator's
		}
		at, _ := line["at"].(string)
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			t.Errorf("%v: %v", line, err)
		}
		site, detail := line["site"].(string), line["detail"]
		if detail == nil {
			detail = ""
		}
		got = append(got, strings.Join([]string{site, line["step"].(string), detail.(string)}, "|"))
		if reference := line["reference"].(string); (site == "") != (reference == "") {
			t.Errorf("%v", line)
		}
	}
	want := []string{
		"app.example.com|asked|by the operator",
		"app.example.com|retried|mail, by the operator",
		"app.example.com|revoked|by the operator",
		"|exported|", "|restored|",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the audit log has %q, want %q", got, want)
	}
}
