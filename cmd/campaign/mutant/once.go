package mutant

// onceOnly break: at most one accepted change per grant, and one attempt per
// account in flight.
var onceOnly = []Mutant{
	{
		Gone: "the change is noted on the grant",
		File: "reset/change.go",
		Old: `c.Sequence, c.Reference = r.nextSequence(a.now), g.Reference
	g.Change = c.ID
`,
		New: `c.Sequence, c.Reference = r.nextSequence(a.now), g.Reference
`,
		Run: "^TestCodeOfAChangeUnderWay$",
	},
	{
		Gone: "a new change waits for a slot that is in use",
		File: "reset/change.go",
		Old:  "free := s.slotIsFree(r.Lease, a.change.ID, lease{})",
		New:  "free := true",
		Run:  "^TestChangeInFlightCountsAlsoWhenTheNewerOneIsRefused$",
	},
	{
		Gone: "an outcome counts for its own attempt only",
		File: "reset/ending.go",
		Old:  "r.Change == nil || r.Change.ID != e.change.ID || r.Change.Attempt != e.change.Attempt {",
		New:  "r.Change == nil {",
		Run:  "^TestChangeInFlightCountsAlsoWhenTheNewerOneIsRefused$",
	},
	{
		Gone: "a completed change ends the other grants",
		File: "reset/record.go",
		Old: `	r.Epoch++
	var waiting []grant
`,
		New: `	if r.Epoch == r.Epoch {
		r.Consecutive = 0
		return
	}
	var waiting []grant
`,
		Run: "^TestCancellingAChangeInFlightSilencesNothing$",
	},
	{
		Gone: "a replaced change uses its grant up",
		File: "reset/record.go",
		Old:  "(r.claims(g) || g.Change.isZero() && !g.expired(now.Add(s.skew)))",
		New:  "(r.claims(g) || !g.expired(now.Add(s.skew)))",
		Run:  "^TestReplacedChangeUsesItsGrantUp$",
	},
	{
		Gone: "grants of an older copy open nothing",
		File: "reset/record.go",
		Old:  "if r.Era < s.era {",
		New:  "if false && r.Era < s.era {",
		Run:  "^TestOlderCopyOfTheStore$",
	},
	{
		Gone: "changes of an older copy are dropped",
		File: "reset/slot.go",
		Old:  "case c.Era < s.svc.era:",
		New:  "case false && c.Era < s.svc.era:",
		Run:  "^TestOlderCopyOfTheStore$",
	},
	{
		Gone: "a token of a code ends with the code",
		File: "reset/grant.go",
		Old:  "if t.matches(s.Hash) && ms < s.Expires {",
		New:  "if t.matches(s.Hash) {",
		Run:  "^TestTokenForACodeEndsWithTheCode$",
	},
	{
		Gone: "a marker that is ahead of the store begins a new era",
		File: "kv/sealed/sentinel.go",
		Old:  "restored = marker > s.generation",
		New:  "restored = false",
		Run:  "^TestEra$",
	},
	{
		Gone: "a due job of another process is left to it",
		File: "reset/queue.go",
		Old:  "return s.svc.shared.foreign.unchangedFor(string(j.ID[:]), j.Holder, s.leaseLength(k))",
		New:  "return true",
		Run:  "^TestInvariantJobsContinueAfterACrash$",
	},
	{
		Gone: "leases of other processes are freed in a store of one process only",
		File: "reset/queue.go",
		Old:  `return s.svc.exclusive && h.Holder != ""`,
		New:  `return h.Holder != ""`,
		Run:  "^TestInvariantJobsContinueAfterACrash$",
	},
	{
		Gone: "a claimed grant answers with the change that claimed it",
		File: "reset/change.go",
		Old: `	if c := r.claimant(*g); c != nil {
		a.claimedBy = *c
		return errClaimed
	}
`,
		Run: "^TestTwoAtOnceWithOneToken$",
	},
	{
		Gone: "a queued change waits for a slot that is in use",
		File: "reset/slot.go",
		Old:  "if !s.slotIsFree(r.Lease, c.ID, dead) {",
		New:  "if false && !s.slotIsFree(r.Lease, c.ID, dead) {",
		Run:  "^TestNewerChangeWaitsForTheOneInFlight$",
	},
	{
		Gone: "a lease of another process is watched for its whole length",
		File: "reset/slot.go",
		Old:  "if s.svc.shared.foreign.unchangedFor(string(h.Record), mark, s.lease()) {",
		New:  "if s.svc.shared.foreign.unchangedFor(string(h.Record), mark, s.lease()) || true {",
		Run:  "^TestInvariantOneAttemptPerAccount$",
	},
	{
		Gone:    "every attempt carries the id of its change",
		File:    "reset/attempt.go",
		Old:     "ID: c.ID.String(), ResetID",
		New:     "ID: newID(time.Now()).String(), ResetID",
		Package: "./cmd/caddy",
		Run:     "^TestTrialCrashSmall$",
	},
	{
		Gone: "an older copy over the open store is not read",
		File: "embeddedstore/store.go",
		Old:  "int64(tx.ID()) < committed",
		New:  "int64(tx.ID()) < min(committed, 0)",
		Run:  "^TestOverwrittenWhileRunning$",
	},
	{
		Gone: "an older copy over the open store is not written",
		File: "embeddedstore/writer.go",
		Old:  "id <= s.committed.Load() || id > s.tried+1",
		New:  "id < 0",
		Run:  "^TestOverwrittenWhileRunning$",
	},
	{
		Gone: "the slot is in use while an attempt of ours is under way",
		File: "reset/slot.go",
		Old:  "return l.Change == change || s.svc.shared.flights.get(l.Change) == nil",
		New:  "return true",
		Run:  "^TestTrialStateMachine$",
	},
	{
		Gone: "the slot is in use until the attempt of another process is over",
		File: "reset/slot.go",
		Old:  "return s.svc.exclusive || l == dead",
		New:  "return true",
		Run:  "^TestTrialStateMachine$",
	},
	{
		Gone: "a completed change ends every link",
		File: "reset/record.go",
		Old: `	r.Epoch++
	var waiting []grant`,
		New: "	waiting := r.Grants",
		Run: "^TestCancellingAChangeInFlightSilencesNothing$",
	},
	{
		Gone: "a replaced change that was applied ends every link",
		File: "reset/ending.go",
		Old: `	if e.verdict == Applied {
		r.completed()
	}
`,
		Run: "^TestCancellingAChangeInFlightSilencesNothing$",
	},
}
