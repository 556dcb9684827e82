package mutant

// desks break: what an operator asks for happens, and nothing else.
var desks = []Mutant{
	{
		Gone: "what is listed in a place of the expiry index stays listed",
		File: "reset/key.go",
		Old:  "all := slices.Collect(slices.Chunk(value, rowKeySize))",
		New:  "_ = value\n\tvar all [][]byte",
		Run:  "^TestNothingOfATraceStaysForEver$",
	},
	{
		Gone: "what the operator has revoked opens nothing",
		File: "reset/desk.go",
		Old:  "\t\tr.Epoch++\n\t\tr.Grants = nil\n",
		Run:  "^TestRevokeTellsWhatItHasEnded$",
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
		Gone: "requests that were limited do not push out the others of a trace",
		File: "reset/story.go",
		Old:  "if limited > maxLimited {",
		New:  "if false {",
		Run:  "^TestTraceUnderAFlood$",
	},
}
