package mutant

// contracts break: what packages promise beside the
// invariants: limits, codes, paths, foreign input.
var contracts = []Mutant{
	{
		Gone: "wrong codes are counted",
		File: "reset/record.go",
		Old:  "g.Tries++",
		New:  "_ = g.Tries",
		Run:  "^TestFiveWrongCodesEndItAndLeaveTheLink$",
	},
	{
		Gone: "the fastest limit is one for trusted clients",
		File: "reset/limiter.go",
		Old:  "max(w.Per.Milliseconds()/int64(n), 1)",
		New:  "w.Per.Milliseconds()/int64(n)",
		Run:  "^TestFastLimitIsOneForATrustedClient$",
	},
	{
		Gone: "the whole table of addresses is used",
		File: "reset/limiter.go",
		Old:  "l.buckets[tag>>1%clientBuckets]",
		New:  "l.buckets[tag%clientBuckets]",
		Run:  "^TestManyAddressesAreRemembered$",
	},
	{
		Gone: "an odd address beside one that is valid keeps nobody from a mail",
		File: "directory/webhook.go",
		Old:  "if fit == 0 && unfit != nil {",
		New:  "if unfit != nil {",
		Run:  "^TestWebhookAnswers$",
	},
	{
		Gone: "a login that is none keeps no file from being read",
		File: "directory/table.go",
		Old:  "if checkAccount(a) != nil || a.Email",
		New:  "if err := checkAccount(a); err != nil {\n\t\treturn nil, err\n\t} else if a.Email",
		Run:  "^TestFileLookup$",
	},
	{
		Gone: "a new mail brings no code back",
		File: "reset/mint.go",
		Old:  "if !r.codesOff() {",
		New:  "for n := range r.Grants { r.Grants[n].Tries = 0 }; if !r.codesOff() {",
		Run:  "^TestNewMailBringsNoCodeBack$",
	},
	{
		Gone: "two matching codes are a failure",
		File: "reset/code.go",
		Old: `g.matches++
`,
		New: `g.matches = 1
`,
		Run: "^TestTwoMatchesAreAFailure$",
	},
	{
		Gone: "guessing over many logins raises an alarm",
		File: "reset/code.go",
		Old:  "if s.svc.shared.guesses.count(s.config.ID, now) >= guessesAnHour {",
		New:  "if s.svc.shared.guesses.count(s.config.ID, now) < 0 {",
		Run:  "^TestSprayingCodesRaisesAnAlarm$",
	},
	{
		Gone: "a token has no line end in it",
		File: "reset/token.go",
		Old:  `len(s) != tokenLength || strings.ContainsAny(s, "\r\n")`,
		New:  `len(s) < tokenLength || false && strings.ContainsAny(s, "\r\n")`,
		Run:  "^TestMalformedTokens$",
	},
	{
		Gone: "ten refusals end a grant",
		File: "reset/grant.go",
		Old:  "if g.Refusals >= maxRefusals {",
		New:  "if g.Refusals < 0 {",
		Run:  "^TestChangeInFlightCountsAlsoWhenTheNewerOneIsRefused$",
	},
	{
		Gone: "a refusal prolongs no link beyond a day",
		File: "reset/grant.go",
		Old:  "min(now.Add(lifeAfterRefuse).UnixMilli(), limit)",
		New:  "max(now.Add(lifeAfterRefuse).UnixMilli(), limit-limit)",
		Run:  "^TestRefusalDoesNotProlongALinkBeyondADay$",
	},
	{
		Gone: "an account has few mails",
		File: "reset/mint.go",
		Old:  "(m.counted || s.mayMint(r, m.now, m.desk))",
		New:  "(m.counted || s.mayMint(r, m.now, m.desk) || true)",
		Run:  "^TestAskingBeforeALinkEndsLocksNobodyOut$",
	},
	{
		Gone: "a page cannot be framed",
		File: "web/exchange.go",
		Old: `	h.Set("X-Frame-Options", "DENY")
`,
		Run: "^TestCode$",
	},
	{
		Gone: "a path is compared without path parameters",
		File: "web/path.go",
		Old: `parameter, twisted = true, true
`,
		New: `twisted = true
`,
		Run: "^TestClean$",
	},
	{
		Gone: "a path is compared without regard to case",
		File: "web/path.go",
		Old:  "dst = append(dst, lower(c))",
		New:  "dst = append(dst, c)",
		Run:  "^TestClean$",
	},
	{
		Gone: "a letter that only Unicode folds is refused",
		File: "web/path.go",
		Old:  "if ascii, size := alike(path[i:]); size > 0 {",
		New:  "if ascii, size := alike(path[i:]); size > 9 {",
		Run:  "^TestClean$",
	},
	{
		Gone: "a path with an empty segment gets a long look",
		File: "web/path.go",
		Old:  "c != '/' && c != '.' || before == '/' ||",
		New:  "c != '/' && c != '.' ||",
		Run:  "^(TestRoute|FuzzPasses)$",
	},
	{
		Gone: "a target without a slash is refused",
		File: "web/route.go",
		Old:  "if isCrooked(r.URL) {",
		New:  "if false && isCrooked(r.URL) {",
		Run:  "^TestRouteRefusesTargetsWithoutASlash$",
	},
	{
		Gone: "a directory returns five accounts at most",
		File: "directory/webhook.go",
		Old:  "if len(list) > reset.MaxAccounts {",
		New:  "if false {",
		Run:  "^TestWebhookAnswers$",
	},
	{
		Gone: "an address from the directory is checked",
		File: "reset/mailing.go",
		Old:  "if err := a.Check(); err != nil {",
		New:  "if err := a.Check(); err != nil && false {",
		Run:  "^TestDirectoryIsNotTrusted$",
	},
	{
		Gone: "a wrong clock issues nothing",
		File: "reset/reset.go",
		Old:  "if now.Before(s.notBefore) {",
		New:  "if now.Before(s.notBefore) && false {",
		Run:  "^TestWrongClockIssuesNothing$",
	},
	{
		Gone: "a mail that nobody asked for is not sent",
		File: "web/start.go",
		Old:  "if isUnasked(c.x.r.Header) {",
		New:  "if false {",
		Run:  "^TestStartOfNobody$",
	},
	{
		Gone: "a message has at most the size that receivers take",
		File: "webhookout/client.go",
		Old:  "if len(m.Body) > maxBody {",
		New:  "if false {",
		Run:  "^TestPostRefusesBadMessages$",
	},
	{
		Gone: "a token from the path is not folded",
		File: "web/route.go",
		Old: `raw := strings.TrimRight(r.URL.EscapedPath(), "/")
`,
		New: `raw := strings.ToLower(strings.TrimRight(r.URL.EscapedPath(), "/"))
`,
		Run: "^TestLinkPage$",
	},
	{
		Gone: "a new mail leaves the consecutive count",
		File: "reset/mint.go",
		Old:  "if !r.codesOff() {",
		New:  "if r.Consecutive, r.Today = 0, 0; true {",
		Run:  "^TestNewCodeDoesNotClearTheConsecutiveCount$",
	},
	{
		Gone: "a cancel token only cancels",
		File: "reset/access.go",
		Old: `		if err == nil && !t.matches(g.Cancel) {
			err = ErrGrant
		}
`,
		New: `		_ = g
`,
		Run: "^TestCancelEndsTheGrantAndNothingElse$",
	},
	{
		Gone: "wrong codes in a row end codes",
		File: "reset/record.go",
		Old:  "return r.Consecutive >= triesConsecutive || r.Today >= triesPerDay",
		New:  "return r.Today >= triesPerDay",
		Run:  "^TestNewCodeDoesNotClearTheConsecutiveCount$",
	},
	{
		Gone: "a cross-site POST is refused",
		File: "web/exchange.go",
		Old:  "if x.foreign.Check(x.r) != nil {",
		New:  "if x.foreign.Check(x.r) != nil && false {",
		Run:  "^TestCrossSite$",
	},
	{
		Gone: "an encoded slash is looked through",
		File: "web/route.go",
		Old:  "odd = odd || hasEncodedSlash(r.URL.RawPath)",
		New:  "_ = hasEncodedSlash",
		Run:  "^TestRoute$",
	},
	{
		Gone: "a cancel needs its own token",
		File: "reset/access.go",
		Old: `		if !t.matches(g.Cancel) {
			return ErrGrant
		}
`,
		Run: "^TestCancelNeedsItsOwnToken$",
	},
	{
		Gone: "a mail is given up after an hour",
		File: "reset/mailing.go",
		Old: `	if now.UnixMilli() >= h.Deadline {
		s.log.Warn("reset given up`,
		New: `	if h.Deadline < 0 {
		s.log.Warn("reset given up`,
		Run: "^TestNothingStaleIsMailed$",
	},
	{
		Gone: "guesses for many logins share a few records",
		File: "reset/code.go",
		Old:  "g.site.guessKey(g.login)",
		New:  "g.site.decoyKey(g.login)",
		Run:  "^TestGuessesForManyLoginsTakeNoRoom$",
	},
	{
		Gone: "a row that is written often is listed once a minute for its end",
		File: "reset/key.go",
		Old:  "when.Truncate(time.Minute).Add(time.Minute), key",
		New:  "when, key",
		Run:  "^TestGuessesForManyLoginsTakeNoRoom$",
	},
	{
		Gone:    "wrong codes of a day count beyond a new mail",
		File:    "reset/mint.go",
		Old:     "if !r.codesOff() {",
		New:     "if r.Today = 0; !r.codesOff() {",
		Package: "./cmd/caddy",
		Run:     "^TestTrialGuessCodesForADay$",
	},
	{
		Gone:    "a code is taken in the documented spellings only",
		File:    "reset/code.go",
		Old:     `NewReplacer(" ", "", "-", "")`,
		New:     `NewReplacer(" ", "", "-", "", "\t", "")`,
		Package: "./cmd/caddy",
		Run:     "^TestTrialGuessCodesInAllSpellings$",
	},
	{
		Gone: "a token of another site is none",
		File: "reset/access.go",
		Old:  "if !bytes.Equal(row.Account, s.accountKey(r.Account.ID)) {",
		New:  "if bytes.Equal(row.Account, nil) {",
		Run:  "^TestTokenOfAnotherSite$",
	},
	{
		Gone:    "the windows of an account are kept",
		File:    "reset/window.go",
		Old:     "if desk || permitted(s.config.PerAccount,",
		New:     "if true || permitted(s.config.PerAccount,",
		Package: "./cmd/caddy",
		Run:     "^TestTrialGuessFlood$",
	},
	{
		Gone:    "410 ends a change",
		File:    "webhookout/target.go",
		Old:     "case a.Status == http.StatusGone:",
		New:     "case a.Status == http.StatusTeapot:",
		Package: "./cmd/caddy",
		Run:     "^TestTrialHooks$",
	},
	{
		Gone: "an operator is not told of the same closed store at each try",
		File: "caddymodule/app.go",
		Old:  "if err.Error() == r.told && now.Sub(r.at) < alarmAgain {",
		New:  "if false {",
		Run:  "^TestReminder$",
	},
	{
		Gone: "a fault of the store is one alarm, whatever fails for it",
		File: "reset/reset.go",
		Old:  `due("store\x00"+cause, time.Now())`,
		New:  `due(doing+cause, time.Now())`,
		Run:  "^TestFullDisk$",
	},
}
