package mutant

// tryAgain break: a person can always try again.
var tryAgain = []Mutant{
	{
		Gone: "a refused password gives its grant back",
		File: "reset/ending.go",
		Old:  "if g == nil || g.Change != e.change.ID || !g.release(e.now) {",
		New:  "if g != nil {",
		Run:  "^TestGrantGivenBackWhileReplacedIsKept$",
	},
	{
		Gone: "a refusal leaves ten minutes",
		File: "reset/grant.go",
		Old: `	g.Expires = max(g.Expires, atLeast)
`,
		Run: "^TestGrantGivenBackWhileReplacedIsKept$",
	},
	{
		Gone: "asking again leaves the older link alive",
		File: "reset/mint.go",
		Old:  "r.Grants = append(r.Grants, g)",
		New:  "r.Grants = []grant{g}",
		Run:  "^TestChangeInFlightCountsAlsoWhenTheNewerOneIsRefused$",
	},
	{
		Gone: "who has no live link gets a mail past the limits",
		File: "reset/window.go",
		Old:  "return len(r.Grants) == 0 && now.UnixMilli()-last >= s.config.LinkTTL.Milliseconds()",
		New:  "return len(r.Grants) == 0 && last < 0",
		Run:  "^TestAskingOftenLocksNobodyOut$",
	},
	{
		Gone: "a login asked for often is looked up all the same after a while",
		File: "reset/sketch.go",
		Old:  " || ms-e.last() >= spare.Milliseconds()",
		Run:  "^TestAskingOftenLocksNobodyOut$",
	},
	{
		Gone: "wrong codes leave the link alive",
		File: "reset/code.go",
		Old: `r.guessed(g.now)
`,
		New: `if r.guessed(g.now); r.Today >= triesPerMint {
				r.Grants = nil
			}
`,
		Run: "^TestFiveWrongCodesEndItAndLeaveTheLink$",
	},
	{
		Gone: "a grant that reached nobody is taken back",
		File: "reset/mailing.go",
		Old:  "return s.retryMail(ctx, h, d.Err, m.unmint)",
		New:  "return s.retryMail(ctx, h, d.Err, nil)",
		Run:  "^TestWhatBecomesOfAMail$",
	},
	{
		Gone: "a grant stays claimed while its change is in flight",
		File: "reset/grant.go",
		Old:  "return r.Change != nil && r.Change.ID == g.Change || r.Lease.Change == g.Change",
		New:  "return r.Change != nil && r.Change.ID == g.Change",
		Run:  "^TestGrantGivenBackWhileReplacedIsKept$",
	},
	{
		Gone: "visitors without an address share no limit",
		File: "reset/site.go",
		Old:  "if s.config.PerIP.N == 0 || !ip.IsValid() {",
		New:  "if s.config.PerIP.N == 0 {",
		Run:  "^TestRequestsPerAddress$",
	},
	{
		Gone: "what a person asked for goes on when they hang up",
		File: "reset/site.go",
		Old:  "context.WithTimeout(context.WithoutCancel(ctx), updateTimeout)",
		New:  "context.WithTimeout(ctx, updateTimeout)",
		Run:  "^TestWhoHangsUpLeavesNothingInDoubt$",
	},
	{
		Gone: "a link in a mail that may have arrived lives on",
		File: "reset/mailing.go",
		Old: `		// It may have arrived: the links in it must live on.
		return s.retryMail(ctx, h, d.Err, nil)`,
		New: `		return s.retryMail(ctx, h, d.Err, m.unmint)`,
		Run: "^TestWhatBecomesOfAMail$",
	},
	{
		Gone: "a lost answer to the final dot means unknown",
		File: "smtpout/failure.go",
		Old: `		f.status = reset.Unknown
	case at == stageTLS`,
		New: `		f.status = reset.NotSent
	case at == stageTLS`,
		Run: "^TestAnswers$",
	},
	{
		Gone: "another password leaves the grant as it was",
		File: "web/change.go",
		Old: `x.choose(site, http.StatusUnprocessableEntity, token, "", x.reasons(rules.Reasons)...)
`,
		New: `x.fail(faultLink)
`,
		Run: "^TestFollowAndSubmit$",
	},
	{
		Gone: "a directory that cannot answer is asked again",
		File: "reset/mailing.go",
		Old: `		s.logLookup(h, err)
		return s.retryMail(ctx, h, err, nil)`,
		New: `		s.logLookup(h, err)
		return s.finish(ctx, h, nil)`,
		Run: "^TestDirectoryFaultsAreRetried$",
	},
	{
		Gone: "a clock that was ahead locks no account out",
		File: "reset/record.go",
		Old: `r.Mints = slices.DeleteFunc(r.Mints, func(at int64) bool { return at > ahead })
`,
		New: `_ = slices.DeleteFunc[[]int64]
`,
		Run: "^TestClockThatWasAhead$",
	},
	{
		Gone: "a mail that surely did not leave is tried again",
		File: "reset/mailing.go",
		Old: `	case NotSent, Misconfigured, Unwanted, Unreachable:
		return s.retryMail(ctx, h, d.Err, m.unmint)`,
		New: `	case NotSent, Misconfigured, Unwanted, Unreachable:
		return s.finish(ctx, h, m.unmint)`,
		Run: "^TestWhatBecomesOfAMail$",
	},
	{
		Gone: "words that the relay does not take are left out",
		File: "reset/mailing.go",
		Old:  "		h.Words = nil",
		New:  "		_ = h.Words",
		Run:  "^TestWordsThatTheRelayDoesNotTake$",
	},
	{
		Gone: "a mail that a filter refuses holds up no other",
		File: "reset/mailing.go",
		Old: `	case Unwanted:
		// The queue`,
		New: `	case Unwanted:
		s.queue(h.kind).rest(restAfterRefusal)
		// The queue`,
		Run: "^TestUnwantedMailHoldsUpNoOther$",
	},
	{
		Gone: "a job that a clock has put off is brought back",
		File: "reset/worker.go",
		Old:  "s.bringBack(ctx, k, q, row)",
		New:  "_ = row",
		Run:  "^TestJobsOfAClockThatWasAhead$",
	},
	{
		Gone: "a retry counts once against the limits",
		File: "reset/mailing.go",
		Old:  "h.Account, h.Counted = m.recordKey(), true",
		New:  "h.Account, h.Counted = m.recordKey(), false",
		Run:  "^TestRetriesCountOnceAgainstTheLimits$",
	},
	{
		Gone: "a grant that was given back does not end with its change",
		File: "reset/ending.go",
		Old: `			r.Change.Grant = id{}
`,
		Package: "./cmd/caddy",
		Run:     "^TestTrialHooks$",
	},
	{
		Gone:    "who has no codes any more gets a link",
		File:    "reset/mint.go",
		Old:     "(m.counted || s.mayMint(r, m.now, m.desk))",
		New:     "(m.counted || s.mayMint(r, m.now, m.desk)) && !r.codesOff()",
		Package: "./cmd/caddy",
		Run:     "^TestTrialGuessCodesForADay$",
	},
	{
		Gone: "a refused password gives the grant back",
		File: "reset/ending.go",
		Old:  "		kept, err := e.giveBack(tx, r)",
		New:  "		kept, err := false, error(nil)",
		Run:  "^TestRefusedByTheAppLeavesTheTokenAlive$",
	},
	{
		Gone: "retries are read while requests keep coming",
		File: "reset/worker.go",
		Old:  "(!q.lineup.any() || time.Since(r.at) >= pollInterval)",
		New:  "!q.lineup.any()",
		Run:  "^TestLineupHoldsUpNoRetry$",
	},
}
