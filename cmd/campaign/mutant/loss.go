package mutant

// nothingLost break: a change that was accepted is applied, refused or
// reported, and the newest wins.
var nothingLost = []Mutant{
	{
		Gone: "the job of a change is stored with it",
		File: "reset/change.go",
		Old:  "if a.held, err = s.place(tx, jobChange, j, due); err != nil {",
		New:  "if a.held = (&heldJob{job: j, key: s.queueKey(jobChange, due, j.ID)}); err != nil {",
		Run:  "^TestSecondAttemptIsInTime$",
	},
	{
		Gone: "a change that was not stored is not accepted",
		File: "reset/change.go",
		Old: `	case err != nil:
		return Result{}, s.unavailable("accepting a new password", err)
	}
	s.log.Info`,
		New: `	}
	s.log.Info`,
		Run: "^TestNothingIsAcceptedThatIsNotStored$",
	},
	{
		Gone: "a request that was not stored is not accepted",
		File: "reset/request.go",
		Old: `	if err != nil {
		return "", s.unavailable("accepting a request", err)
	}
`,
		Run: "^TestNothingIsAcceptedThatIsNotStored$",
	},
	{
		Gone: "a change that was applied sends its notice",
		File: "reset/ending.go",
		Old:  "if e.attended && e.verdict != Applied && e.verdict != Retry && !r.Change.Replaced {",
		New:  "if e.attended && e.verdict != Retry && !r.Change.Replaced {",
		Run:  "^TestInvariantOneChangePerGrant$",
	},
	{
		Gone: "a cancelled change that was applied is reported",
		File: "reset/ending.go",
		Old:  "if e.verdict == Applied || e.verdict == Retry && r.Change == nil {",
		New:  "if e.verdict == Retry && r.Change == nil {",
		Run:  "^TestCancellingAChangeInFlightSilencesNothing$",
	},
	{
		Gone: "a cancelled change whose outcome nobody knows is reported",
		File: "reset/ending.go",
		Old:  "if e.verdict == Applied || e.verdict == Retry && r.Change == nil {",
		New:  "if e.verdict == Applied {",
		Run:  "^TestCancellingAChangeInFlightWithoutAnAnswerIsReported$",
	},
	{
		Gone: "a cancelled change that had replaced another is reported",
		File: "reset/access.go",
		Old:  "if lost = r.Change.Replaced; lost {",
		New:  "if lost = false; lost {",
		Run:  "^TestReplacedChangeIsReportedWhenTheNewerOneComesToNothing$",
	},
	{
		Gone: "a wrong Retry-After parks no change",
		File: "webhookout/answer.go",
		Old:  "return min(max(wait, 0), maxRetryAfter)",
		New:  "return max(wait, 0)",
		Run:  "^TestRetryAfter$",
	},
	{
		Gone: "two updates of a batch see each other's writes",
		File: "embeddedstore/writer.go",
		Old:  "err = r.bucket.Put(key, value)",
		New:  "defer r.bucket.Put(key, value)",
		Run:  "^TestConformance$",
	},
	{
		Gone: "a sequence is above every earlier one",
		File: "reset/record.go",
		Old:  "r.Sequence = max(r.Sequence+1, now.UnixMilli())",
		New:  "r.Sequence = now.UnixMilli()",
		Run:  "^TestSequencesOfOneInstant$",
	},
	{
		Gone: "the owner of a replaced change is told",
		File: "reset/ending.go",
		Old:  "if e.attended && e.verdict != Applied && e.verdict != Retry && !r.Change.Replaced {",
		New:  "if e.attended && e.verdict != Applied && e.verdict != Retry {",
		Run:  "^TestReplacedChangeIsReportedBesideThePage$",
	},
	{
		Gone: "who does not wait any more is told by mail",
		File: "reset/ending.go",
		Old:  "if e.attended && e.verdict != Applied && e.verdict != Retry && !r.Change.Replaced {",
		New:  "if e.verdict != Applied && e.verdict != Retry && !r.Change.Replaced {",
		Run:  "^TestPersonWhoLeftIsToldByMail$",
	},
	{
		Gone: "a change that ran out of time is reported",
		File: "reset/slot.go",
		Old:  "_, err := s.endChange(tx, h, r, now, notice, now)",
		New: `queued, err := s.endChange(tx, h, r, now, notice, now)
			if err == nil {
				err = tx.Delete(queued.key)
			}`,
		Run: "^TestOlderCopyOfTheStore$",
	},
	{
		Gone: "no result leaves before its batch is committed",
		File: "embeddedstore/writer.go",
		Old: `			if err != nil {
				u.err = err
			}
			u.result <- u.err`,
		New: `			_ = err
			u.result <- u.err`,
		Run: "^TestDiskRefusesWrites$",
	},
	{
		Gone: "nothing of a batch counts that was not written",
		File: "embeddedstore/writer.go",
		Old: `	if failed != nil {
		return unknown(failed)
	}
	return nil`,
		New:     `	return nil`,
		Package: "./cmd/caddy",
		Run:     "^TestTrialFullDisk$",
	},
	{
		Gone: "a change outlives its deadline until its owner is told",
		File: "reset/record.go",
		Old:  "later(time.UnixMilli(max(r.Change.Deadline, overdue)).Add(time.Hour))",
		New:  "_, _ = overdue, func() { later(now) }",
		Run:  "^TestOutageBeyondTheDeadline$",
	},
	{
		Gone: "who reads pending was promised a mail",
		File: "reset/ending.go",
		Old: `		e.spare = queued
`,
		New: `		e.spare, err = queued, tx.Delete(queued.key)
`,
		Run: "^TestOutcomeThatIsStoredUnseen$",
	},
	{
		Gone: "who reads the outcome gets no mail about it",
		File: "reset/attempt.go",
		Old:  "_ = s.finish(store, e.spare, nil)",
		New:  "_ = e.spare",
		Run:  "^TestRefusedByTheAppLeavesTheTokenAlive$",
	},
	{
		Gone: "a change ends together with the notice of it",
		File: "reset/slot.go",
		Old:  "queued, err := s.place(tx, jobNotice, notice, due)",
		New:  "queued, err := &heldJob{job: notice, key: s.queueKey(jobNotice, due, notice.ID)}, error(nil)",
		Run:  "^TestTrialStateMachine$",
	},
	{
		Gone: "who was replaced hears if neither takes effect",
		File: "reset/change.go",
		Old: `	c.Replaced = r.Change != nil
`,
		Run: "^TestReplacedChangeIsReportedWhenTheNewerOneComesToNothing$",
	},
	{
		Gone: "a change is reported and not tried after its day",
		File: "reset/slot.go",
		Old:  "case now.UnixMilli() >= c.Deadline:",
		New:  "case now.UnixMilli() >= c.Deadline && false:",
		Run:  "^TestNothingStaleIsApplied$",
	},
	{
		Gone: "a cancelled change does not reach the app",
		File: "reset/access.go",
		Old: `			r.Change = nil // its job finds nothing and ends
`,
		Run: "^TestCancelDropsAChangeThatIsNotApplied$",
	},
}
