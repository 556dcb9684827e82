package main

import (
	"context"
	"fmt"
	"net/http"
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
			s, err := load{
				address: servers[i].addr, connections: 16,
				request: func(int) []byte { return get(servers[i].addr, "/a/page/of/the/app") },
				accepts: answered(http.StatusOK),
			}.run(ctx, turn)
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], s.rate())
		}
	}
	noise, us := compare(rates[1], rates[0]), compare(rates[2], rates[0])
	b.add(row{
		What: "other traffic, Caddy alone twice", Text: noise.String(),
		Values: map[string]float64{"ratio": noise.Of, "low": noise.Low, "high": noise.High},
	})
	b.add(row{
		What: "other traffic, with us and without", Target: "1 within the noise",
		Text: us.String(), Verdict: judge(us.High >= min(1, noise.Low)),
		Values: map[string]float64{"ratio": us.Of, "low": us.Low, "high": us.High},
	})
	return nil
}

func (r ratio) String() string { return fmt.Sprintf("%.3f [%.3f, %.3f]", r.Of, r.Low, r.High) }
