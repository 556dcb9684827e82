package main

import (
	"strings"
	"testing"
)

const campaignReport = `{"machine": "2 cores", "rows": [
	{"name": "enumeration by time: known against unknown", "runs": 20000, "state": "passed",
		"figures": "form: answer 0.500 [0.489, 0.511], next 0.497 [0.480, 0.508], again 0.505 [0.494, 0.516]; code, JSON, none live: answer 0.501 [0.490, 0.512], next 0.500 [0.489, 0.511], again 0.499 [0.488, 0.510]"},
	{"name": "enumeration by time: limits", "runs": 10000, "state": "STATE",
		"figures": "limit of the address: answer 0.500 [0.489, 0.511], next 0.500 [0.489, 0.511], again 0.520 [0.509, HIGH]"}
]}`

// The widest interval of any entry point decides; what was not measured to its end
// is no figure.
func TestAreas(t *testing.T) {
	for _, tt := range []struct {
		state, high, text string
		want              verdict
	}{
		{"passed", "0.530", "9 areas in [0.480, 0.530] (form, next; limit of the address, again)", pass},
		{"violated", "0.531", "9 areas in [0.480, 0.531] (form, next; limit of the address, again)", fails},
		{"violated", "1.000", "9 areas in [0.480, 1.000] (form, next; limit of the address, again)", fails},
		{"unfinished", "0.511", "", ""},
		{"skipped", "0.511", "", ""},
	} {
		all, err := readAreas([]byte(strings.NewReplacer("STATE", tt.state, "HIGH", tt.high).Replace(campaignReport)))
		if tt.text == "" {
			if err == nil {
				t.Errorf("%s: %v", tt.state, all)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if r := all.row(); r.Text != tt.text || r.Verdict != tt.want {
			t.Errorf("%s %q; want %s %q", r.Text, r.Verdict, tt.text, tt.want)
		}
	}
	for _, nothing := range []string{``, `{"rows": []}`, `{"rows": [{"state": "passed", "figures": "1 ms"}]}`} {
		if all, err := readAreas([]byte(nothing)); err == nil {
			t.Errorf("%s: %v", nothing, all)
		}
	}
}
