package main

import (
	"context"
	"fmt"
	"strings"
)

// foreignTurns is how often the servers of the comparison take their turn.
const foreignTurns = 24

// foreign compares the site's other traffic with password reset and without, in
// turns, beside two servers without it, which tell how much is noise.
func (b *bench) foreign(ctx context.Context) error {
	// In process it can be told from nothing.
	measured, err := inProcess(ctx, "ForeignRequest", "./caddymodule")
	if err != nil {
		return err
	}
	paid, err := foreignCosts(measured)
	if err != nil {
		return err
	}
	b.add(paid.row())
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
	err = inTurns(foreignTurns, len(servers), func(i int) error {
		s, err := visits(servers[i].addr, 16).run(ctx, turn)
		rates[i] = append(rates[i], s.rate())
		return err
	})
	if err != nil {
		return err
	}
	noise, us := compare(rates[1], rates[0]), compare(rates[2], rates[0])
	b.add(row{
		What: "other traffic, Caddy alone twice", Text: noise.String(),
		Values: map[string]float64{"ratio": noise.of, "low": noise.low, "high": noise.high},
	})
	b.add(row{
		What: "other traffic, with us and without", Target: "not slower, but for noise",
		Text: us.String(), Verdict: judge(us.high >= min(1, noise.low)),
		Values: map[string]float64{"ratio": us.of, "low": us.low, "high": us.high},
	})
	return nil
}

// A cost is what one request that is not ours takes in process.
type cost struct {
	page        string
	ns, without float64 // with us, and without
	allocations float64
}

type costs []cost

// foreignCosts takes what BenchmarkForeignRequest has measured: all pages without
// us, and then each with us.
func foreignCosts(measured []benchmark) (all costs, err error) {
	without := make(map[string]float64)
	for _, m := range measured {
		if page, ok := strings.CutPrefix(m.name, "ForeignRequest/without/"); ok {
			without[page] = m.ns
			continue
		}
		page := strings.TrimPrefix(m.name, "ForeignRequest/with/")
		before, ok := without[page]
		if !ok {
			return nil, fmt.Errorf("%s was not measured without us", page)
		}
		all = append(all, cost{page: page, ns: m.ns, without: before, allocations: m.allocations})
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
