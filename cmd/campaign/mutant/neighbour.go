package mutant

// neighbours break: others are served whatever happens to us.
var neighbours = []Mutant{
	{
		Gone: "a panic while answering becomes an answer",
		File: "web/exchange.go",
		Old: `	defer x.rescue()
`,
		Run: "^TestDomainIsReleased$",
	},
	{
		Gone: "a panic of bbolt is an error",
		File: "embeddedstore/store.go",
		Old: `		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, v)
		}`,
		New: `		_ = fmt.Errorf`,
		Run: "^TestDamagedWhileRunning$",
	},
	{
		Gone: "Caddy starts without the store",
		File: "caddymodule/app.go",
		Old:  "if caddy.ActiveContext().Context != nil {",
		New:  "if true {",
		Run:  "^TestDialectsWhileTheStoreIsDown$",
	},
	{
		Gone: "a panic while opening is an error",
		File: "caddymodule/pool.go",
		Old: `		if e := recover(); e != nil {
			err = fmt.Errorf("opening store: the store is damaged (%T)", e)
		}
`,
		Run: "^TestPoolOutlivesFaults$",
	},
	{
		Gone: "lines about requests are paced",
		File: "caddymodule/requestlog.go",
		Old:  "if !l.pace.Allow() {",
		New:  "if false {",
		Run:  "^TestRequestLogIsPaced$",
	},
	{
		Gone: "a body is bounded",
		File: "web/body.go",
		Old:  "http.MaxBytesReader(w, r.Body, limit)",
		New:  "r.Body",
		Run:  "^TestBody$",
	},
	{
		Gone: "the answers of a relay are bounded",
		File: "smtpout/conn.go",
		Old:  "if c.left <= 0 {",
		New:  "if false {",
		Run:  "^TestFlood$",
	},
	{
		Gone: "a write to a relay has a deadline",
		File: "smtpout/conn.go",
		Old: `	c.SetWriteDeadline(time.Now().Add(c.commandTimeout))
`,
		Run: "^TestSlow$",
	},
	{
		Gone: "an answer is not unpacked",
		File: "webhookout/client.go",
		Old: `	h.Set("Accept-Encoding", "identity")
`,
		Run: "^TestRequestOnTheWire$",
	},
	{
		Gone: "the limit of an IPv6 client is that of its /64",
		File: "reset/limiter.go",
		Old:  "ip.Prefix(64)",
		New:  "ip.Prefix(128)",
		Run:  "^TestRequestsPerAddress$",
	},
	{
		Gone: "the same alarm is logged once a minute",
		File: "reset/reset.go",
		Old: `	if s.shared.alarms.due(what, time.Now()) {
`,
		New: `	if what != "" {
`,
		Run: "^TestAlarmIsLoggedOnceAMinute$",
	},
	{
		Gone: "a panic in a job ends the attempt only",
		File: "reset/worker.go",
		Old: `	defer s.svc.recovered(s.config.ID, "running a "+k.String()+" job")
`,
		Run: "^TestPanicsOfAdaptersEndOneAttempt$",
	},
	{
		Gone: "a panic while reading the queue ends nothing",
		File: "reset/worker.go",
		Old: `	defer s.svc.recovered(s.config.ID, "reading a queue")
`,
		Run: "^TestPanicsOfTheStoreEndNoWorker$",
	},
	{
		Gone: "a memory fault in the mapping is an error",
		File: "embeddedstore/store.go",
		Old: `	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))

	var result`,
		New: `	defer debug.SetPanicOnFault(debug.SetPanicOnFault(false))

	var result`,
		Run: "^TestTruncatedWhileRunning$",
	},
	{
		Gone:    "a panic while a configuration is loaded is an error of it",
		File:    "caddymodule/panic.go",
		Old:     "func asError(ctx caddy.Context, err *error) {\n\tif e := recover(); e != nil {",
		New:     "func asError(ctx caddy.Context, err *error) {\n\tif e := any(nil); e != nil {",
		Package: "./cmd/caddy",
		Run:     "^TestTrialPanicWhileLoading$",
	},
	{
		Gone:    "the queue of mails is bounded",
		File:    "reset/request.go",
		Old:     "if s.full(jobMail) {",
		New:     "if false && s.full(jobMail) {",
		Package: "./cmd/caddy",
		Run:     "^TestTrialFlood$",
	},
	{
		Gone:    "what has expired leaves the store",
		File:    "reset/sweeper.go",
		Old:     "\t\ts.sweepAll(ctx)\n",
		Package: "./cmd/caddy",
		Run:     "^TestTrialFlood$",
	},
	{
		Gone: "a memory fault while writing is an error",
		File: "embeddedstore/writer.go",
		Old:  "\tdebug.SetPanicOnFault(true)\n",
		New:  "\t_ = debug.SetPanicOnFault\n",
		Run:  "^TestTruncatedWhileRunning$",
	},
	{
		Gone: "all pages are read before bbolt rolls a failed commit back",
		File: "embeddedstore/freelist.go",
		Old:  "if !y.onDuty.CompareAndSwap(true, false) {",
		New:  "if true {",
		Run:  "^TestDiskRefusesWritesAndIsDamaged$",
	},
	{
		Gone: "a damaged page that an update meets is not met again by bbolt",
		File: "embeddedstore/transaction.go",
		Old:  "\ttx, err := s.begin(true)\n",
		New:  "\tif s.db != nil {\n\t\treturn s.db.Update(fn)\n\t}\n\ttx, err := s.begin(true)\n",
		Run:  "^TestDamagedWhileRunning$",
	},
	{
		Gone: "a store whose transaction could not begin is out of use",
		File: "embeddedstore/transaction.go",
		Old:  "\t\ts.breakDown(err)\n",
		New:  "\t\tif err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\ts.breakDown(err)\n",
		Run:  "^TestEmptiedWhileOpen$",
	},
	{
		Gone: "what bbolt had locked when it panicked is unlocked",
		File: "embeddedstore/transaction.go",
		Old:  "\t\t\tunlock(s.db)\n",
		Run:  "^TestEmptiedWhileBusy$",
	},
	{
		Gone: "work that nobody waits for is not put off for good",
		File: "embeddedstore/writer.go",
		Old:  "case yielding < s.owed:",
		New:  "case yielding < 0:",
		Run:  "^TestYieldingUpdatesAmongVeryMany$",
	},
	{
		Gone: "a job that the store does not take is tried again after a pause",
		File: "reset/worker.go",
		Old:  "faultPause = time.Second",
		New:  "faultPause = 0 * time.Second",
		Run:  "^TestFullDisk$",
	},
	{
		Gone: "a damaged page on the way to all rows keeps nobody waiting",
		File: "embeddedstore/writer.go",
		Old:  "if failed != nil && !reached {",
		New:  "if _ = reached; failed != nil && running == nil {",
		Run:  "^TestDamagedRootWhileRunning$",
	},
	{
		Gone: "work that nobody waits for yields in the store",
		File: "embeddedstore/writer.go",
		Old:  "urgent == 0 || yielding <= urgent/yieldingShare",
		New:  "urgent >= 0 && yielding >= 0",
		Run:  "^TestYieldingUpdates$",
	},
}
