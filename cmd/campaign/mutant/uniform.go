package mutant

// sameForAll break: nothing depends on whether an account exists.
var sameForAll = []Mutant{
	{
		Gone: "a login without an account has a decoy",
		File: "reset/mailing.go",
		Old: `		if err := m.write(tx, h.Reference); err != nil {
			return err
		}
`,
		New: `		if err := m.write(tx, h.Reference); !m.decoy && err != nil {
			return err
		} else if m.decoy {
			return h.remove(tx)
		}
`,
		Run: "^TestInvariantSameWorkForEveryLogin$",
	},
	{
		Gone: "rows are padded",
		File: "reset/record.go",
		Old:  "if over := len(b) % step; over > 0 {",
		New:  "if over := len(b) % step; over < 0 {",
		Run:  "^TestInvariantSameWorkForEveryLogin$",
	},
	{
		Gone: "a minting writes as many login rows for everybody",
		File: "reset/mint.go",
		Old: `for len(names) < loginRows {
`,
		New: `for false {
`,
		Run: "^TestInvariantSameWorkForEveryLogin$",
	},
	{
		Gone: "the cookie has one size",
		File: "web/cookie.go",
		Old: `[]byte(j.name))
	j.set(w, base64.RawURLEncoding.EncodeToString(sealed), int`,
		New: `[]byte(j.name))
	sealed = append(sealed, n.login...)
	j.set(w, base64.RawURLEncoding.EncodeToString(sealed), int`,
		Run: "^TestCookie$",
	},
	{
		Gone: "accounts are revealed to trusted clients only",
		File: "web/start.go",
		Old:  "if s.Reveal && c.trusted {",
		New:  "if s.Reveal {",
		Run:  "^TestTrust$",
	},
	{
		Gone: "dead tokens of all kinds get one answer",
		File: "reset/access.go",
		Old: `	if len(row.Account) == 0 {
		return nil, nil, nil, ErrGrant
	}
`,
		New: `	if len(row.Account) == 0 {
		return nil, nil, nil, ErrCode
	}
`,
		Run: "^TestWhatBecomesOfAMail$",
	},
	{
		Gone: "an account without an address is like none",
		File: "reset/mailing.go",
		Old: `		if a.Email == "" {
			continue
		}
		if err := a.Check()`,
		New: `		if err := a.Check()`,
		Run: "^TestAccountWithoutAnAddress$",
	},
	{
		Gone: "a decoy has a key like any record",
		File: "reset/mint.go",
		Old: `return m.site.decoyKey(m.login)
`,
		New: `return append(m.site.decoyKey(m.login), 0)
`,
		Run: "^TestInvariantSameWorkForEveryLogin$",
	},
	{
		Gone: "the look-up begins a random time after the answer",
		File: "reset/request.go",
		Old:  "minMailDelay+randomBelow(maxMailDelay-minMailDelay)",
		New:  "0",
		Run:  "^TestLookupBeginsLater$",
	},
	{
		Gone: "nothing is looked up before the answer",
		File: "reset/request.go",
		Old: `	now := time.Now()
	if !s.svc.clockIsSane(now) {
		return "", ErrUnavailable
	}
	if s.full(jobMail) {`,
		New: `	now := time.Now()
	if _, err := s.config.Directory.Lookup(ctx, login); err != nil {
		return "", ErrUnavailable
	}
	if s.full(jobMail) {`,
		Run: "^TestLookupBeginsLater$",
	},
	{
		Gone: "a login past its limits writes a record like any",
		File: "reset/mint.go",
		Old: `	case m.limited:
		return m.site.limitedKey(m.login)
`,
		Run: "^TestTrialSameWorkAfterAnySteps$",
	},
	{
		Gone: "a login past its limits writes no rows that have grown",
		File: "reset/mint.go",
		Old:  `fmt.Sprintf("\x00%t %d %s", m.limited,`,
		New:  `fmt.Sprintf("\x00%t %d %s", false,`,
		Run:  "^TestTrialSameWorkAfterAnySteps$",
	},
	{
		Gone: "what is held back is not taken from the queue before",
		File: "reset/queue.go",
		Old:  "return q.busy[j] || q.lineup.has(j)",
		New:  "return q.busy[j]",
		Run:  "^TestLookupBeginsLater$",
	},
}
