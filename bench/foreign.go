package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// turns is how often the servers of a comparison take their turn.
const turns = 24

// turn is how long one lasts: short, so that what else the machine does falls on
// all of them alike.
const turn = 500 * time.Millisecond

// foreign compares the site's other traffic with password reset and without, in
// turns, beside two servers without it, which tell how much is noise.
func (b *bench) foreign(ctx context.Context) error {
	if err := b.inProcess(ctx); err != nil {
		return err
	}
	var servers []*server
	for _, launch := range []func(context.Context) (*server, error){b.alone, b.alone, b.site} {
		s, err := launch(ctx)
		if err != nil {
			return err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	rates := make([][]float64, len(servers))
	for n := range turns {
		for i := range servers {
			i := (i + n) % len(servers) // none is always the first
			s, err := visits(servers[i].addr, 16).run(ctx, turn)
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], s.rate())
		}
	}
	noise, us := compare(rates[1], rates[0]), compare(rates[2], rates[0])
	b.add(row{
		What: "other traffic, Caddy alone twice", Text: noise.String(),
		Values: map[string]float64{"ratio": noise.of, "low": noise.low, "high": noise.high},
	})
	b.add(row{
		What: "other traffic, with us and without", Target: "1 within the noise",
		Text: us.String(), Verdict: judge(us.high >= min(1, noise.low)),
		Values: map[string]float64{"ratio": us.of, "low": us.low, "high": us.high},
	})
	return nil
}

// inProcess measures what a request that is not ours pays in process, where it can
// be told from nothing.
func (b *bench) inProcess(ctx context.Context) error {
	c := exec.CommandContext(ctx, "go", "test", "-run=NONE", "-bench=ForeignRequest", "-benchmem", "-benchtime=1s", "./caddymodule")
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("measuring in process: %w\n%s", err, out)
	}
	costs, err := foreignCosts(out)
	if err != nil {
		return err
	}
	b.add(costs.row())
	return nil
}

// A cost is what one request takes in process.
type cost struct {
	page        string
	ns, without float64 // with us, and without
	allocations float64
}

type costs []cost

var costLine = regexp.MustCompile(`(?m)^BenchmarkForeignRequest/(with|without)/(\w+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+\d+ B/op\s+(\d+) allocs/op`)

// foreignCosts reads what BenchmarkForeignRequest prints: all pages without us,
// and then each with us.
func foreignCosts(out []byte) (all costs, err error) {
	without := make(map[string]float64)
	for _, m := range costLine.FindAllSubmatch(out, -1) {
		page := string(m[2])
		ns, err := strconv.ParseFloat(string(m[3]), 64)
		if err != nil {
			return nil, err
		}
		if string(m[1]) == "without" {
			without[page] = ns
			continue
		}
		allocations, err := strconv.ParseFloat(string(m[4]), 64)
		if err != nil {
			return nil, err
		}
		before, ok := without[page]
		if !ok {
			return nil, fmt.Errorf("%s was not measured without us", page)
		}
		all = append(all, cost{page: page, ns: ns, without: before, allocations: allocations})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no figure in what the benchmark printed: %.500s", out)
	}
	return all, nil
}

// row judges the dearest page.
func (all costs) row() row {
	r := row{What: "other traffic, in process", Target: "≤ 50 ns, 0 allocations", Values: make(map[string]float64)}
	var pages []string
	most, allocations := 0.0, 0.0
	for _, c := range all {
		most, allocations = max(most, c.ns-c.without), max(allocations, c.allocations)
		pages = append(pages, fmt.Sprintf("%s %.0f", c.page, c.ns-c.without))
		r.Values[c.page+"_ns"] = c.ns - c.without
	}
	r.Text = fmt.Sprintf("%.0f ns (%s), %.0f allocations", most, strings.Join(pages, ", "), allocations)
	r.Verdict = atMost(most, 50).and(atMost(allocations, 0))
	r.Values["ns"], r.Values["allocations"] = most, allocations
	return r
}

func (r ratio) String() string { return fmt.Sprintf("%.3f [%.3f, %.3f]", r.of, r.low, r.high) }
