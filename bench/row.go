package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// A verdict says whether a figure reaches its target.
type verdict string

const (
	pass     verdict = "pass"
	fails    verdict = "FAIL"
	reported verdict = "" // has no target
)

// A row is one figure, beside its target.
type row struct {
	What    string             `json:"what"`
	Target  string             `json:"target,omitempty"`
	Text    string             `json:"figure"`
	Verdict verdict            `json:"verdict,omitempty"`
	Values  map[string]float64 `json:"values"`
}

// atLeast and atMost judge a figure.
func atLeast(figure, target float64) verdict { return judge(figure >= target) }

func atMost(figure, target float64) verdict { return judge(figure <= target) }

func judge(reached bool) verdict {
	if reached {
		return pass
	}
	return fails
}

// and is a pass only if both are.
func (v verdict) and(other verdict) verdict { return judge(v == pass && other == pass) }

// A report is the whole table.
type report struct {
	Machine string `json:"machine"`
	Rows    []row  `json:"rows"`
}

func (r report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

func (r report) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\ttarget\tmeasured\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", row.What, row.Target, row.Text, row.Verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d figures, %d miss their target. %s\n", len(r.Rows), r.missed(), r.Machine)
	return err
}

// missed returns how many figures miss their target.
func (r report) missed() (n int) {
	for _, row := range r.Rows {
		if row.Verdict == fails {
			n++
		}
	}
	return n
}
