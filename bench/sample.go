package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A sample is what a load has met. Only what was accepted counts: the first
// answer that is not ends the load with an error.
type sample struct {
	requests int
	elapsed  time.Duration
	latency  []time.Duration // in order of size
	cpu      time.Duration   // that the server took for each request, and besides
	written  float64         // bytes that the server wrote for each request, and besides
}

func (s sample) rate() float64 { return float64(s.requests) / s.elapsed.Seconds() }

func (s sample) p50() time.Duration { return quantile(s.latency, 0.5) }

func (s sample) p99() time.Duration { return quantile(s.latency, 0.99) }

// and is both samples as one.
func (s sample) and(t sample) sample {
	t.requests, t.elapsed = s.requests+t.requests, s.elapsed+t.elapsed
	t.latency = slices.Sorted(slices.Values(slices.Concat(s.latency, t.latency)))
	return t
}

// row shows a load.
func (s sample) row(what, target string, v verdict) row {
	return row{
		What: what, Target: target, Verdict: v,
		Text: fmt.Sprintf("%.0f/s, p50 %.1f ms, p99 %.1f ms, %.0f µs of CPU, %.0f KB written",
			s.rate(), milliseconds(s.p50()), milliseconds(s.p99()), 1000*milliseconds(s.cpu), s.written/1000),
		Values: map[string]float64{
			"rate": s.rate(), "p50_ms": milliseconds(s.p50()), "p99_ms": milliseconds(s.p99()), "cpu_ms": milliseconds(s.cpu), "written_bytes": s.written,
		},
	}
}

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
