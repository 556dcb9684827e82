package mutant

// relays break the dialogue with a mail server, and what becomes of the queue by it.
var relays = []Mutant{
	{
		Gone: "what a relay says beyond its answer is none to the next mail",
		File: "smtpout/client.go",
		Old:  "alive && s.quiet() && s.messages",
		New:  "alive && s.messages",
		Run:  "^TestSurplusAnswer$",
	},
	{
		Gone: "an answer before the text is none to it",
		File: "smtpout/transaction.go",
		Old:  "if !s.quiet() {",
		New:  "if false {",
		Run:  "^TestPipelinedAnswers$",
	},
	{
		Gone: "the first refusal decides, whatever is said to the commands behind it",
		File: "smtpout/transaction.go",
		Old: `			if refused == nil {
				refused = f
			}`,
		New: "			refused = f",
		Run: "^TestPipelinedAnswers$",
	},
	{
		Gone: "a relay that waits for a text in spite of a refusal gets none",
		File: "smtpout/transaction.go",
		Old:  "if _, _, ok := answer(last); !ok {",
		New:  "if false {",
		Run:  "^TestPipelinedAnswers$",
	},
	{
		Gone: "what a relay says beyond its answer to the library is seen",
		File: "smtpout/conn.go",
		Old:  "p = p[:end+1]",
		New:  "_ = end",
		Run:  "^TestAnswers$",
	},
	{
		Gone: "the library says nothing to a relay that speaks unasked",
		File: "smtpout/conn.go",
		Old:  "if c.in.Buffered() > 0 {",
		New:  "if false {",
		Run:  "^TestAnswers$",
	},
	{
		Gone: "commands go at once only where the relay offers it",
		File: "smtpout/transaction.go",
		Old:  `if s.offers("PIPELINING") {`,
		New:  "if true {",
		Run:  "^TestPipelining$",
	},
	{
		Gone: "a refused login at the relay is not tried for each mail",
		File: "reset/mailing.go",
		Old: `		s.queue(h.kind).rest(restAfterRefusal)
`,
		Run: "^TestRefusedLoginAtTheRelayIsNotHammered$",
	},
	{
		Gone:    "after a refused login one mail at a time is tried",
		File:    "reset/queue.go",
		Old:     "\tif q.wary {",
		New:     "\tif false {",
		Package: "./cmd/caddy",
		Run:     "^TestTrialRefusedLogin$",
	},
	{
		Gone: "a relay that is away is not looked for with each mail",
		File: "reset/mailing.go",
		Old:  "\t\ts.queue(h.kind).miss(time.Now())\n",
		Run:  "^TestRelayThatIsAwayIsLookedForSeldom$",
	},
	{
		Gone: "a relay that takes mails over few connections is not away",
		File: "reset/queue.go",
		Old:  "\tif q.unmet > 0 {\n\t\tq.until = time.Time{}\n\t}\n",
		Run:  "^TestRelayWithFewConnectionsIsNotAway$",
	},
	{
		Gone: "a connection turned away after a mail was taken is no outage",
		File: "reset/queue.go",
		Old:  " || now.Sub(q.taken) < firstRest",
		Run:  "^TestRelayWithFewConnectionsIsNotAway$",
	},
}
