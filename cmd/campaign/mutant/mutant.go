// Package mutant lists faults that are planted in the source, one at a time,
// to see that a test finds each: a test that was never seen to fail proves
// nothing. Each takes away what protects one of the invariants.
//
// To add one, append it to the table of its invariant. Old must stand in File
// exactly once; go test ./cmd/campaign/... holds that it does, that the changed
// file parses, and that Run names a test. Then see it found:
//
//	go run ./cmd/campaign -only mutants -run 'part of its name'
package mutant

import (
	"fmt"
	"path"
	"slices"
)

// A Mutant is one planted fault.
type Mutant struct {
	Invariant int    // which one it breaks, from 1; 0: a promise of a package alone
	Gone      string // what is taken away, in a few words
	File      string // from the root of the module
	Old, New  string
	Package   string // where the test is that must fail; "" in the tables: beside File
	Run       string // its name, as go test -run takes it
}

// Invariants are the promises that hold whatever happens, in the words of
// docs/architecture.md.
var Invariants = []string{
	`At most one accepted change per grant and one attempt per account in flight, whatever the concurrency, crash point or number of processes.`,
	`"Changed" is shown only after the app's 2xx.`,
	`A change that was accepted is applied, refused or reported, never lost; the newest wins.`,
	`A person can always try again: no fault burns a grant without a change journalled.`,
	`No secret in clear in any file, log, metric or answer that is not its own.`,
	`Answers, work and timing do not depend on whether the account exists.`,
	`Other sites and the app behind keep serving whatever happens to us.`,
	`After any crash the store opens, checks, and every job continues.`,
}

// All returns the mutants in the order of the invariants.
func All() []Mutant {
	return slices.Concat(
		number(1, onceOnly), number(2, truth), number(3, nothingLost), number(4, tryAgain),
		number(5, secrets), number(6, sameForAll), number(7, neighbours), number(8, afterCrash),
		number(0, contracts), number(0, relays), number(0, desks), number(0, inputs),
	)
}

func number(invariant int, table []Mutant) []Mutant {
	numbered := slices.Clone(table)
	for i := range numbered {
		m := &numbered[i]
		m.Invariant = invariant
		if m.Package == "" {
			m.Package = "./" + path.Dir(m.File)
		}
	}
	return numbered
}

// String names a mutant in the campaign's table.
func (m Mutant) String() string {
	return fmt.Sprintf("%d without: %s (%s)", m.Invariant, m.Gone, m.File)
}
