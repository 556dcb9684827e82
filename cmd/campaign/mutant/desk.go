package mutant

// desks break: what an operator asks for happens, and nothing else.
var desks = []Mutant{
	{
		Gone: "what is listed in a place of the expiry index stays listed",
		File: "reset/key.go",
		Old:  "all := slices.Collect(slices.Chunk(value, rowKeySize))",
		New:  "_ = value\n\tvar all [][]byte",
		Run:  "^TestRowsThatMeetAgainBothGo$",
	},
	{
		Gone: "what the operator has revoked opens nothing",
		File: "reset/desk.go",
		Old:  "\t\tr.Epoch++\n\t\tr.Grants, r.Revoked = nil, revocation\n",
		New:  "\t\tr.Revoked = revocation\n",
		Run:  "^TestRevokeTellsWhatItHasEnded$",
	},
	{
		Gone: "a revocation whose answer was lost counts as done",
		File: "reset/desk.go",
		Old:  "r.Revoked == revocation",
		New:  "false",
		Run:  "^TestDeskWithALostAnswer$",
	},
	{
		Gone: "what is revoked is of one moment",
		File: "reset/desk.go",
		Old:  "gone[string(h.key)] = true",
		Run:  "^TestRevokeAMailThatMoves$",
	},
	{
		Gone: "requests that are only limited go before others",
		File: "reset/story.go",
		Old:  "!r.dropLimited(maxLimited - 1)",
		New:  "true",
		Run:  "^TestTraceOfAnAccountUnderAFlood$",
	},
	{
		Gone: "a mail that waits is revoked",
		File: "reset/desk.go",
		Old:  "if done.Mails, err = s.revokeMails(ctx, login, keys); err != nil {",
		New:  "if err != nil {",
		Run:  "^TestRevokeAMailThatWaits$",
	},
	{
		Gone: "the accounts of a login are revoked that it is not known by",
		File: "reset/desk.go",
		Old:  "if key := s.accountKey(a.ID); !containsKey(keys, key) {",
		New:  "if key := s.accountKey(a.ID); false {",
		Run:  "^TestRevokeAsksTheDirectory$",
	},
	{
		Gone: "a job that is being tried is left alone",
		File: "reset/waiting.go",
		Old:  "return q.busy[h.ID] || !h.Change.isZero() && s.svc.shared.flights.get(h.Change) != nil",
		New:  "return false",
		Run:  "^TestAJobThatIsTriedIsLeftAlone$",
	},
	{
		Gone: "the help desk's mail passes the limits of a login",
		File: "reset/mailing.go",
		Old:  "h.isFirst() && !h.Desk && ",
		New:  "h.isFirst() && ",
		Run:  "^TestSendPastTheLimits$",
	},
	{
		Gone: "the help desk's mail passes the limits of an account",
		File: "reset/window.go",
		Old:  "if desk || permitted(",
		New:  "if permitted(",
		Run:  "^TestSendPastTheLimits$",
	},
	{
		Gone: "of what was limited a trace tells a few",
		File: "reset/story.go",
		Old:  "\tif s == StepLimited {\n\t\tr.dropLimited(maxLimited)\n\t}\n",
		Run:  "^TestTraceUnderAFlood$",
	},
}
