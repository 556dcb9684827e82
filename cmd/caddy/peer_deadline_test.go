package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// slack is what a busy machine may add to a deadline.
const slack = 5 * time.Second

// No peer holds an attempt beyond its deadline, however it stretches it: by
// silence, a byte at a time, or an answer at the last moment at each step. The
// program is the usual one, with its own waits.
func TestMeasurePeerDeadlines(t *testing.T) {
	trial.Alone(t)
	tr := trial.New(t, "deadlines of attempts, against peers that stretch them")
	measure := func(t *testing.T, what string, deadline, slowest time.Duration) {
		t.Helper()
		tr.Figures(fmt.Sprintf("%s: %.1f s of %s", what, slowest.Seconds(), deadline))
		if slowest > deadline+slack {
			tr.Violation("%s: an attempt took %s, not %s", what, slowest, deadline)
		}
	}
	t.Run("mail servers", func(t *testing.T) {
		slowest := tryRelays(t, tr, usualPace, 1, func(r relayRow) bool {
			return slices.ContainsFunc(silences(), func(s relayRow) bool { return s.name == r.name }) || strings.HasPrefix(r.name, "floods")
		})
		measure(t, "mail", usualPace.attempt, slowest)
	})
	t.Run("targets", func(t *testing.T) {
		slowest := tryHooks(t, tr, usualPace, 1, func(r hookRow) bool {
			return strings.HasPrefix(r.name, "drips") || slices.ContainsFunc(silentApps(), func(s hookRow) bool { return s.name == r.name })
		})
		measure(t, "change", hookTimeout, slowest)
	})
	t.Run("directories", func(t *testing.T) {
		slowest := tryLookups(t, tr, usualPace, 1, func(r lookupRow) bool { return r.fate == logLookupRetried })
		measure(t, "lookup", hookTimeout, slowest)
	})
}
