package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// quantile returns the value below which a share q of the sorted values lies;
// zero for none.
func quantile[T any](sorted []T, q float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func median[T cmp.Ordered](values []T) T {
	return quantile(slices.Sorted(slices.Values(values)), 0.5)
}

// milliseconds, for tables.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

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
