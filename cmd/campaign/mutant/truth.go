package mutant

// truth break: "changed" is shown only after the app's 2xx.
var truth = []Mutant{
	{
		Gone: "an outcome that is not known is not called a change (page)",
		File: "web/change.go",
		Old: `		// Never "changed" unless it is said so.
		x.fail(FaultUnavailable)`,
		New: `		x.accepted(http.StatusOK, reset.StatusChanged, "/done")`,
		Run: "^TestChange$",
	},
	{
		Gone: "no answer of the app means pending",
		File: "reset/attempt.go",
		Old:  `return Result{Status: StatusPending}, "the app did not take the change yet"`,
		New:  `return Result{Status: StatusChanged}, "the app did not take the change yet"`,
		Run:  "^TestSecondAttemptIsInTime$",
	},
	{
		Gone: "who waits too long reads pending",
		File: "reset/flight.go",
		Old: `	case <-timer.C:
		if f.leave() {
			return Result{Status: StatusPending}`,
		New: `	case <-timer.C:
		if f.leave() {
			return Result{Status: StatusChanged}`,
		Run: "^TestInvariantJobsContinueAfterACrash$",
	},
	{
		Gone: "a change that is not in flight is pending",
		File: "reset/change.go",
		Old: `	if f == nil {
		return Result{Status: StatusPending}, nil`,
		New: `	if f == nil {
		return Result{Status: StatusChanged}, nil`,
		Run: "^TestCodeOfAChangeUnderWay$",
	},
	{
		Gone: "a panic of the target is no success",
		File: "reset/attempt.go",
		Old:  "a = Attempt{Verdict: Retry, Alarm: true,",
		New:  "a = Attempt{Verdict: Applied, Alarm: true,",
		Run:  "^TestPanicsOfAdaptersEndOneAttempt$",
	},
	{
		Gone: "a 2xx with a page is no success",
		File: "webhookout/answer.go",
		Old:  "return json.Valid(text)",
		New:  "return true || json.Valid(text)",
		Run:  "^TestOKAndAlarm$",
	},
	{
		Gone: "a redirect is no success",
		File: "webhookout/answer.go",
		Old:  "if a.Status < 200 || a.Status > 299 {",
		New:  "if a.Status < 200 || a.Status > 399 {",
		Run:  "^TestOKAndAlarm$",
	},
	{
		Gone: "a page whose body did not come is no success",
		File: "webhookout/answer.go",
		Old:  `return !a.Truncated || a.ContentType != "text/html"`,
		New:  "return true",
		Run:  "^TestOKAndAlarm$",
	},
	{
		Gone: "409 is no success",
		File: "webhookout/target.go",
		Old:  "return reset.Attempt{Verdict: reset.Superseded}",
		New:  "return reset.Attempt{Verdict: reset.Applied}",
		Run:  "^TestVerdicts$",
	},
	{
		Gone: "only whoever sent that password reads its outcome",
		File: "reset/change.go",
		Old:  `if known != "" && subtle.ConstantTimeCompare([]byte(known), []byte(typed)) != 1 {`,
		New:  `if known != "" && subtle.ConstantTimeCompare([]byte(known), []byte(typed)) > 1 {`,
		Run:  "^TestCodeOfAChangeUnderWay$",
	},
	{
		Gone: "a receipt is for one password",
		File: "reset/flight.go",
		Old:  "slices.Concat(site[:], t.grant[:], t.verifier[:], []byte(typed))",
		New:  "slices.Concat(site[:], t.grant[:], t.verifier[:])",
		Run:  "^TestLateHalfOfADoubleClick$",
	},
	{
		Gone: "the notice says what became of the change",
		File: "reset/attempt.go",
		Old: `	case Refused:
		return LetterRefused
	default:
		return LetterFailed`,
		New: `	case Refused:
		return LetterRefused
	default:
		return LetterChanged`,
		Run: "^TestCancellingAChangeInFlightWithoutAnAnswerIsReported$",
	},
	{
		Gone: "an outcome that was not stored is pending",
		File: "reset/attempt.go",
		Old: `		if outcome.Verdict != Applied {
			result = Result{Status: StatusPending}
		}
`,
		Run: "^TestOutcomeThatIsNotStored$",
	},
	{
		Gone: "a password that a newer one replaced has no outcome",
		File: "reset/change.go",
		Old: `	case c.Format == "":
		return Result{}, ErrGrant // replaced`,
		New: `	case false:
		return Result{}, ErrGrant // replaced`,
		Run: "^TestReplacedChangeInFlightAnswersNoOtherPassword$",
	},
	{
		Gone: "a refused password is no success",
		File: "reset/attempt.go",
		Old:  "Result{Status: StatusRefused, Detail:",
		New:  "Result{Status: StatusChanged, Detail:",
		Run:  "^TestTrialStateMachine$",
	},
	{
		Gone:    "a change that the app had a newer one for is no success",
		File:    "reset/attempt.go",
		Old:     "Result{Status: StatusSuperseded}",
		New:     "Result{Status: StatusChanged}",
		Package: "./cmd/caddy",
		Run:     "^TestTrialHooks$",
	},
}
