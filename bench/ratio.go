package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// turn is how long one lasts where traffic is compared: short, so that what else the
// machine does falls on all of them alike.
const turn = 500 * time.Millisecond

// inTurns has some that are compared take their turn, that often: none of them is
// always the first.
func inTurns(turns, compared int, take func(i int) error) error {
	for n := range turns {
		for i := range compared {
			if err := take((i + n) % compared); err != nil {
				return err
			}
		}
	}
	return nil
}

// A ratio compares two ways that were measured in turns.
type ratio struct {
	of        float64 // of the medians
	low, high float64 // of 95 % of what other turns would have given (bootstrap)
}

// compare returns how a's median relates to b's, where a[i] and b[i] come from
// the same turn.
func compare(a, b []float64) ratio {
	r := ratio{of: median(a) / median(b)}
	// The seed is fixed: the same figures give the same interval.
	chance := rand.New(rand.NewPCG(1, 1))
	drawn := make([]float64, 2000)
	x, y := make([]float64, len(a)), make([]float64, len(b))
	for i := range drawn {
		for k := range x {
			turn := chance.IntN(len(a))
			x[k], y[k] = a[turn], b[turn]
		}
		drawn[i] = median(x) / median(y)
	}
	slices.Sort(drawn)
	r.low, r.high = quantile(drawn, 0.025), quantile(drawn, 0.975)
	return r
}

func (r ratio) String() string { return fmt.Sprintf("%.3f [%.3f, %.3f]", r.of, r.low, r.high) }
