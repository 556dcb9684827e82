package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A report is all that a campaign found.
type report struct {
	Machine string    `json:"machine"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Rows    []row     `json:"rows"`
}

// sound reports whether the campaign is good news: something was tried, all
// that was begun has ended, and nothing was found.
func (r report) sound() bool {
	n := r.count()
	return n.runs > 0 && n.violations == 0 && n.unfinished == 0
}

type counts struct{ rows, runs, violations, skipped, unfinished int }

func (r report) count() counts {
	n := counts{rows: len(r.Rows)}
	for _, row := range r.Rows {
		n.runs += row.Runs
		n.violations += row.Violations
		switch row.State {
		case skipped:
			n.skipped++
		case unfinished:
			n.unfinished++
		}
	}
	return n
}

// text writes the table, then the output of what failed with the command that
// tries it again.
func (r report) text(w io.Writer) error {
	var b strings.Builder
	cells := [][4]string{{"fault or attack", "runs", "violations", "seed and figures"}}
	phase := ""
	for _, row := range r.Rows {
		if row.Phase != phase {
			phase = row.Phase
			cells = append(cells, [4]string{"— " + phase, "", "", ""})
		}
		cells = append(cells, row.cells())
	}
	var width [3]int
	for _, c := range cells {
		for i := range width {
			width[i] = max(width[i], utf8.RuneCountInString(c[i]))
		}
	}
	for _, c := range cells {
		line := pad(c[0], -width[0]) + " | " + pad(c[1], width[1]) + " | " + pad(c[2], width[2]) + " | " + c[3]
		b.WriteString(strings.TrimRight(line, " |") + "\n")
	}
	n := r.count()
	fmt.Fprintf(&b, "\n%d rows, %d runs, %d violations; %d skipped, %d did not end. It took %s.\n",
		n.rows, n.runs, n.violations, n.skipped, n.unfinished, seconds(r.Seconds))
	fmt.Fprintf(&b, "On %s, begun %s.\n", r.Machine, r.Began.UTC().Format(time.RFC3339))
	for _, row := range r.Rows {
		if failed(row) {
			b.WriteString("\n--- " + strings.TrimSuffix(row.Name+": "+row.verdict(), ": ") + "\n")
			if row.Output != "" {
				b.WriteString(strings.TrimRight(row.Output, "\n") + "\n")
			}
			if row.Replay != "" {
				fmt.Fprintf(&b, "to try it again: %s\n", row.Replay)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func (r row) cells() [4]string {
	var figures []string
	if r.Seed != 0 {
		figures = append(figures, "seed "+strconv.FormatUint(r.Seed, 10))
	}
	if r.Figures != "" {
		figures = append(figures, r.Figures)
	}
	if v := r.verdict(); v != "" {
		figures = append(figures, v)
	}
	runs, violations := strconv.Itoa(r.Runs), strconv.Itoa(r.Violations)
	if r.State == skipped || r.State == unfinished {
		runs, violations = "–", "–"
	}
	return [4]string{oneLine(r.Name), runs, violations, oneLine(strings.Join(figures, "; "))}
}

func (r row) verdict() string {
	switch {
	case r.State == skipped:
		return "skipped: " + r.Note
	case r.State == unfinished:
		return strings.TrimSuffix("DID NOT END: "+r.Note, ": did not end")
	default:
		return r.Note
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// pad fills up to width on the left, or to -width on the right.
func pad(s string, width int) string {
	fill := strings.Repeat(" ", max(0, max(width, -width)-utf8.RuneCountInString(s)))
	if width < 0 {
		return s + fill
	}
	return fill + s
}
