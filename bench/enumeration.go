package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// lowestArea and highestArea bound the area under the ROC curve of times with and
// without an account: at 0.5 nothing can be told.
const lowestArea, highestArea = 0.47, 0.53

// enumeration has the fault campaign measure whether time tells who has an account,
// at each entry point that takes a login, by its answer, an unrelated page right
// after it, and the same request once more.
func (b *bench) enumeration(ctx context.Context) error {
	b.say("timing logins with an account and without")
	c := exec.CommandContext(ctx, "go", "run", "./cmd/campaign", "-only", "measures", "-run", `TestMeasureEnumeration(WithLimits)?$`, "-json", "./cmd/caddy")
	var printed, trouble bytes.Buffer
	c.Stdout, c.Stderr = &printed, &trouble
	failed := c.Run()
	areas, err := readAreas(printed.Bytes())
	if err != nil {
		return errors.Join(err, failed, errors.New(trouble.String()))
	}
	b.add(areas.row())
	return nil
}

// An area is what was measured of one thing that could tell, with its 99 % interval.
type area struct {
	name             string
	value, low, high float64
}

type areas []area

// contest is how a trial describes one entry point, and interval one area of it.
var (
	contest  = regexp.MustCompile(`(?:^|; )([^:;]+): ([^;]+)`)
	interval = regexp.MustCompile(`(\w+) (-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]`)
)

// readAreas reads the report of the campaign, of trials that were tried to the end.
func readAreas(out []byte) (all areas, err error) {
	var report struct {
		Rows []struct{ Name, State, Note, Figures string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("reading the campaign's report: %w", err)
	}
	for _, r := range report.Rows {
		if r.State != "passed" && r.State != "violated" {
			return nil, fmt.Errorf("%s: %s %s", r.Name, r.State, r.Note)
		}
		for _, c := range contest.FindAllStringSubmatch(r.Figures, -1) {
			for _, i := range interval.FindAllStringSubmatch(c[2], -1) {
				a := area{name: c[1] + ", " + i[1]}
				for n, into := range []*float64{&a.value, &a.low, &a.high} {
					if *into, err = strconv.ParseFloat(i[2+n], 64); err != nil {
						return nil, err
					}
				}
				all = append(all, a)
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the campaign's report has no figure")
	}
	return all, nil
}

// row judges all that could tell.
func (all areas) row() row {
	lowest, highest := all[0], all[0]
	r := row{
		What: "known and unknown logins told apart by time", Target: fmt.Sprintf("99 %% of each area in [%g, %g]", lowestArea, highestArea),
		Values: make(map[string]float64),
	}
	for _, a := range all {
		if a.low < lowest.low {
			lowest = a
		}
		if a.high > highest.high {
			highest = a
		}
		r.Values[a.name+", low"], r.Values[a.name+", high"] = a.low, a.high
	}
	r.Text = fmt.Sprintf("%d areas in [%.3f, %.3f] (%s; %s)", len(all), lowest.low, highest.high, lowest.name, highest.name)
	r.Verdict = atLeast(lowest.low, lowestArea).and(atMost(highest.high, highestArea))
	return r
}
