package mutant

// afterCrash break: after a crash the store opens and every job continues.
var afterCrash = []Mutant{
	{
		Gone: "leases of a dead process are freed at the start",
		File: "reset/queue.go",
		Old:  "range dead {",
		New:  "range dead[:0] {",
		Run:  "^TestInvariantJobsContinueAfterACrash$",
	},
	{
		Gone: "a new store takes nobody's place",
		File: "embeddedstore/file.go",
		Old:  "switch err := os.Link(tmp, path); {",
		New:  "switch err := os.Rename(tmp, path); {",
		Run:  "^TestCreateAtOnce$",
	},
	{
		Gone: "an empty file is not a new store",
		File: "embeddedstore/file.go",
		Old:  "case info.Size() == 0:",
		New:  "case false:",
		Run:  "^TestOpenBadFile$",
	},
	{
		Gone: "a store is complete before it has its name",
		File: "embeddedstore/file.go",
		Old:  "if err := create(s.path); err != nil {",
		New:  "if err := os.WriteFile(s.path, nil, 0o600); err != nil {",
		Run:  "^TestKill$",
	},
	{
		Gone: "no key is made beside a store with records",
		File: "caddymodule/pool.go",
		Old: `		if used {
			return nil, &missingKey{path}`,
		New: `		if false {
			return nil, &missingKey{path}`,
		Package: "./cmd/caddy",
		Run:     "^TestTrialStoreDamagedAtRest$",
	},
	{
		Gone: "all pages are read at the start",
		File: "embeddedstore/file.go",
		Old:  "return walk(ctx, s.file, s.pageSize)",
		New:  "return nil",
		Run:  "^TestOpenDamagedPage$",
	},
	{
		Gone: "all pages are read before bbolt looks for free ones",
		File: "embeddedstore/file.go",
		Old:  "err = walk(ctx, s.file, s.pageSize)",
		New:  "_ = walk",
		Run:  "^TestOpenDamagedPage$",
	},
	{
		Gone: "the last commit lists the free pages",
		File: "embeddedstore/writer.go",
		Old:  "\t\ts.ending = true\n",
		New:  "",
		Run:  "^TestLongListIsLeftOut$",
	},
	{
		Gone: "what was read after a failed commit waits for the next commit",
		File: "embeddedstore/writer.go",
		Old:  "if !wrote && s.commitErr == nil && !s.ending {",
		New:  "if !wrote && !s.ending {",
		Run:  "^TestDiskRefusesWrites$",
	},
	{
		Gone: "a disk that takes some writes is told of once",
		File: "embeddedstore/writer.go",
		Old:  "if s.failedLast.IsZero() {",
		New:  "if true {",
		Run:  "^TestDiskRefusesSomeWrites$",
	},
	{
		Gone: "a store that was moved away is not written",
		File: "embeddedstore/watch.go",
		Old:  "case !os.SameFile(info, w.self):",
		New:  "case false:",
		Run:  "^TestMovedAway$",
	},
	{
		Gone: "a store that was truncated is not written",
		File: "embeddedstore/watch.go",
		Old:  "case info.Size() < w.size:",
		New:  "case false:",
		Run:  "^TestTruncatedWhileRunning$",
	},
	{
		Gone: "only what has expired is swept",
		File: "reset/sweeper.go",
		Old:  "if until.After(now) {",
		New:  "if false {",
		Run:  "^TestPendingChangeCanBeCancelledToItsEnd$",
	},
	{
		Gone: "each opening raises the generation",
		File: "kv/sealed/sentinel.go",
		Old:  "next.generation = max(s.generation, marker) + 1",
		New:  "next.generation = max(s.generation, marker)",
		Run:  "^TestRekey$",
	},
	{
		Gone: "a damaged record hides no other",
		File: "kv/sealed/store.go",
		Old: `			value, err := r.store.open(row.Key, row.Value)
			if err != nil {
				continue
			}`,
		New: `			value, err := r.store.open(row.Key, row.Value)
			if err != nil {
				return nil, err
			}`,
		Run: "^TestDamaged$",
	},
	{
		Gone: "a key file is never written over",
		File: "kv/sealed/key.go",
		Old:  "os.Link(f.Name(), path)",
		New:  "os.Rename(f.Name(), path)",
		Run:  "^TestKeyFile$",
	},
	{
		Gone: "the dialect of a request is stored",
		File: "reset/request.go",
		Old:  "j.Login, j.Dialect, j.Desk = r.Login, r.Dialect, desk",
		New:  "j.Login, j.Desk = r.Login, desk",
		Run:  "^TestDialectWordsAndLifeReachTheLetter$",
	},
	{
		Gone: "a store that has records has a sentinel",
		File: "kv/sealed/open.go",
		Old: `	if used {
		return fmt.Errorf("%w: there are records`,
		New: `	if used && false {
		return fmt.Errorf("%w: there are records`,
		Run: "^TestSentinelMissing$",
	},
	{
		Gone: "a row that cannot be read is set aside",
		File: "reset/worker.go",
		Old: `		s.setAside(ctx, row)
		return false`,
		New: `		return false`,
		Run: "^TestDamagedJobHoldsUpNoOther$",
	},
	{
		Gone: "a list of free pages that cannot be one is not followed",
		File: "embeddedstore/pages.go",
		Old:  "flags != freePages || overflow >= w.state.pages-id",
		New:  "flags != freePages && overflow == 0",
		Run:  "^TestOpenEndlessList$",
	},
	{
		Gone:    "a running program looks whether its store is still there",
		File:    "embeddedstore/watch.go",
		Old:     "\t\terr := w.look(s.path)",
		New:     "\t\tvar err error",
		Package: "./cmd/caddy",
		Run:     "^TestTrialStoreLostWhileRunning$",
	},
	{
		Gone: "what a process that is no more held back is mailed at the start",
		File: "reset/worker.go",
		Old:  "soon += headStart",
		New:  "_ = headStart",
		Run:  "^TestRequestOutlivesWhoHeldItBack$",
	},
}
