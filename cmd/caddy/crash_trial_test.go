package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/crashpoint"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// Kill -9 before any statement of ours, without Caddy around it: at night
// before each that is reached, and then at later moments.
func TestTrialCrashSmall(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "kill -9 before any statement, without Caddy")
	crashTrial(t, tr, crashing(t, "cmd/campaign/small"), 16, func(first, recovering []crashpoint.Point) []crash {
		n := tr.Size(90, len(first)+200)
		return chooseCrashes(tr.Rand(0), n, first, recovering)
	})
}

// Kill -9 before any statement of ours in the whole program.
func TestTrialCrash(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "kill -9 before any statement")
	crashTrial(t, tr, crashing(t, "cmd/caddy"), 4, func(first, recovering []crashpoint.Point) []crash {
		return chooseCrashes(tr.Rand(0), tr.Size(10, 160), first, recovering)
	})
}

// faultyOnce are functions in which a crash has been a fault. They are tried
// first.
var faultyOnce = []string{
	"sealed.createKeyFile ", // half a key kept the store from opening ever after
}

// chooseCrashes returns n crashes: first hits of different points as long as
// there are any, then later hits.
func chooseCrashes(chance *rand.Rand, n int, first, recovering []crashpoint.Point) (crashes []crash) {
	chance.Shuffle(len(first), func(i, j int) { first[i], first[j] = first[j], first[i] })
	slices.SortStableFunc(first, func(a, b crashpoint.Point) int { return cmp.Compare(urgency(a), urgency(b)) })
	for _, p := range first {
		crashes = append(crashes, crash{point: p.Name, hit: 1})
	}
	for len(crashes) < n {
		p := first[chance.IntN(len(first))]
		crashes = append(crashes, crash{point: p.Name, hit: 1 + chance.IntN(p.Hits)})
	}
	crashes = crashes[:n]
	for i := range crashes {
		if chance.IntN(secondCrash) == 0 {
			crashes[i].again = recovering[chance.IntN(len(recovering))].Name
		}
	}
	return crashes
}

func urgency(p crashpoint.Point) int {
	if slices.ContainsFunc(faultyOnce, func(function string) bool { return strings.HasPrefix(p.Name, function) }) {
		return 0
	}
	return 1
}
