// Package auc tells how well two sets of measurements can be told apart: by the
// area under the ROC curve, which is the chance that one drawn from the first
// is larger than one drawn from the second (Mann and Whitney, 1947). At 0.5
// nothing can be told, at 0 or 1 everything.
//
// Only the order of the measurements counts. So nothing has to be known of
// their distribution, and outliers, of which a shared machine has many, need
// not be dropped: leaving out what does not fit is how a difference gets lost.
package auc

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// quantile of the normal distribution that leaves half a percent on each side.
const quantile = 2.5758293035489004

// An Area is an estimate with its 99 % interval.
//
// The interval is DeLong's (1988): it makes no assumption about the two
// distributions, and unlike a bootstrap it has no chance of its own, so that
// the same measurements always mean the same. It takes them for independent.
// Where they were taken in pairs, one right after the other, both of a pair
// have the moment's noise in common, and the interval is too wide rather than
// too narrow.
type Area struct {
	Value, Low, High float64
}

// Compare returns the area for two sets of at least two measurements each.
func Compare[T cmp.Ordered](a, b []T) Area {
	n, m := float64(len(a)), float64(len(b))
	if n < 2 || m < 2 {
		panic("auc: two measurements of each kind are the least")
	}
	both := ranks(slices.Concat(a, b))
	ownA, ownB := ranks(a), ranks(b)
	// The part of each measurement: how much of the other set it is above.
	above, below := make([]float64, len(a)), make([]float64, len(b))
	for i := range a {
		above[i] = (both[i] - ownA[i]) / m
	}
	for j := range b {
		below[j] = 1 - (both[len(a)+j]-ownB[j])/n
	}
	value, varianceA := moments(above)
	_, varianceB := moments(below)
	half := quantile * math.Sqrt(varianceA/n+varianceB/m)
	return Area{Value: value, Low: value - half, High: value + half}
}

// Within reports whether the whole interval lies between low and high.
func (a Area) Within(low, high float64) bool { return a.Low >= low && a.High <= high }

// Tells reports whether the two sets surely differ: the whole interval lies on
// one side of 0.5.
func (a Area) Tells() bool { return a.Low > 0.5 || a.High < 0.5 }

func (a Area) String() string { return fmt.Sprintf("%.3f [%.3f, %.3f]", a.Value, a.Low, a.High) }

// ranks returns the rank of each value, counted from 1; equal ones share the
// mean of theirs.
func ranks[T cmp.Ordered](values []T) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(values[i], values[j]) })
	out := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+1+to) / 2
		}
		from = to
	}
	return out
}

func moments(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	for _, v := range values {
		variance += (v - mean) * (v - mean)
	}
	return mean, variance / float64(len(values)-1)
}
