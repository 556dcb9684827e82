package auc_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/auc"
)

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name  string
		a, b  []int
		value float64
	}{
		{"all above", []int{4, 5, 6}, []int{1, 2, 3}, 1},
		{"all below", []int{1, 2, 3}, []int{4, 5, 6}, 0},
		{"all equal", []int{7, 7}, []int{7, 7, 7}, 0.5},
		// Six of the nine couples, counted by hand: 2 > 1, 5 > 1 3, 9 > 1 3 8.
		{"mixed", []int{2, 5, 9}, []int{1, 3, 8}, 6.0 / 9},
		// Two couples above and three equal, of six.
		{"ties count half", []int{1, 2}, []int{1, 1, 2}, (2 + 3*0.5) / 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := auc.Compare(tt.a, tt.b)
			if math.Abs(got.Value-tt.value) > 1e-12 {
				t.Errorf("%v, want %v", got, tt.value)
			}
			mirrored := auc.Compare(tt.b, tt.a)
			if math.Abs(mirrored.Value-(1-tt.value)) > 1e-12 || math.Abs((mirrored.High-mirrored.Low)-(got.High-got.Low)) > 1e-12 {
				t.Errorf("the other way round: %v", mirrored)
			}
		})
	}
}

// The interval of a small set, worked out by hand: the parts of a are 1/3, 2/3
// and 1, those of b 1, 2/3 and 1/3, each with a variance of 1/9.
func TestInterval(t *testing.T) {
	got := auc.Compare([]int{2, 5, 9}, []int{1, 3, 8})
	half := 2.5758293035489004 * math.Sqrt(1.0/9/3+1.0/9/3)
	if math.Abs(got.Low-(6.0/9-half)) > 1e-12 || math.Abs(got.High-(6.0/9+half)) > 1e-12 {
		t.Errorf("%v, want ± %v", got, half)
	}
}

// The interval holds what is true in 99 of 100 cases, whether there is a
// difference or not, and also where noise comes in waves that both sets ride.
func TestIntervalHoldsTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name        string
		shift, wave float64
		truth       float64
		atLeast     int
	}{
		{"no difference", 0, 0, 0.5, 970},
		// The difference of two normal variables is normal: Φ(shift/√2).
		{"a difference", 0.5, 0, 0.5 * math.Erfc(-0.5/2), 970},
		{"noise in waves", 0, 10, 0.5, 970},
	} {
		t.Run(tt.name, func(t *testing.T) {
			held := 0
			a, b := make([]float64, 200), make([]float64, 200)
			for range 1000 {
				for i := range a {
					wave := tt.wave * math.Sin(float64(i)/20)
					a[i], b[i] = r.NormFloat64()+wave+tt.shift, r.NormFloat64()+wave
				}
				if got := auc.Compare(a, b); got.Low <= tt.truth && tt.truth <= got.High {
					held++
				}
			}
			t.Logf("held %d of 1000", held)
			if held < tt.atLeast {
				t.Errorf("the interval holds the truth in %d of 1000 cases", held)
			}
		})
	}
}

func TestJudgements(t *testing.T) {
	for _, tt := range []struct {
		area          auc.Area
		within, tells bool
	}{
		{auc.Area{Value: 0.5, Low: 0.48, High: 0.52}, true, false},
		{auc.Area{Value: 0.5, Low: 0.46, High: 0.52}, false, false},
		{auc.Area{Value: 0.52, Low: 0.51, High: 0.53}, true, true},
		{auc.Area{Value: 0.6, Low: 0.55, High: 0.65}, false, true},
		{auc.Area{Value: 0.4, Low: 0.35, High: 0.45}, false, true},
	} {
		if tt.area.Within(0.47, 0.53) != tt.within || tt.area.Tells() != tt.tells {
			t.Errorf("%v is judged wrongly", tt.area)
		}
	}
}
