package main

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// crashMutants are programs that lose something in a crash, each with where the
// crash has to come and what is found then.
var crashMutants = []struct {
	name   string
	faults []edit
	at     string // what the names of the points begin with
	found  string
}{
	{
		"a mail's job ends before the mail is sent",
		[]edit{{"reset/mailing.go", "\td := s.send(ctx, CallMail, l)\n", "\t_ = s.finish(ctx, h, nil)\n\td := s.send(ctx, CallMail, l)\n"}},
		"smtpout.(*Client).Send ", "accepted and never mailed",
	},
	{
		"a grant is claimed, and then the change journalled",
		[]edit{
			{
				"reset/change.go", "if a.held, err = s.place(tx, jobChange, j, due); err != nil {",
				"a.held = &heldJob{job: j, key: s.queueKey(jobChange, due, j.ID), kind: jobChange}\n\tif a.held.value, err = encodeRow(j, jobStep); err != nil {",
			},
			{
				"reset/change.go", "\terr = s.update(ctx, a.write)\n",
				"\terr = s.update(ctx, a.write)\n\tif err == nil {\n\t\terr = s.update(ctx, func(tx kv.Tx) error { return tx.Put(a.held.key, a.held.value) })\n\t}\n",
			},
		},
		"reset.(*Site).accept ", "never reached the app",
	},
	{
		"a request is answered before it is stored",
		[]edit{{
			"reset/request.go", "\terr = s.update(ctx, func(tx kv.Tx) (err error) {\n\t\tqueued, err = s.place(tx, jobMail, j, now.Add(headStart))\n\t\treturn err\n\t})\n",
			"\tqueued = &heldJob{job: j, key: s.queueKey(jobMail, now.Add(headStart), j.ID), kind: jobMail}\n" +
				"\tif queued.value, err = encodeRow(j, jobStep); err != nil {\n\t\treturn \"\", err\n\t}\n" +
				"\tgo func() {\n\t\ttime.Sleep(20 * time.Millisecond)\n\t\t_ = s.update(context.WithoutCancel(ctx), func(tx kv.Tx) error {\n\t\t\treturn tx.Put(queued.key, queued.value)\n\t\t})\n\t}()\n",
		}},
		"reset.(*Site).Request ", "accepted and never mailed",
	},
	{
		"the notice is queued after the change has ended, and not with it",
		[]edit{
			{"reset/slot.go", "queued, err := s.place(tx, jobNotice, notice, due)", "queued, err := &heldJob{job: notice, key: s.queueKey(jobNotice, due, notice.ID)}, error(nil)"},
			{
				"reset/attempt.go", "\t\te.count()\n",
				"\t\tif e.noticed && e.spare == nil {\n\t\t\t_ = s.persist(store, func(tx kv.Tx) error { return s.addJob(tx, jobNotice, e.notice, e.now) })\n\t\t}\n\t\te.count()\n",
			},
		},
		"reset.(*Site).attempt ", "without a notice",
	},
	{
		"what a program that died had leased stays leased",
		[]edit{{"reset/queue.go", "range dead {", "range dead[:0] {"}},
		"smtpout.(*Client).Send ", "accepted and never mailed",
	},
	{
		"a key file has its name before the key is in it",
		[]edit{
			{"kv/sealed/key.go", "os.CreateTemp(dir, filepath.Base(path)+\".*.new\")", "os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)"},
			{"kv/sealed/key.go", "\tdefer os.Remove(f.Name())\n", ""},
			{"kv/sealed/key.go", "os.Link(f.Name(), path)", "error(nil)"},
		},
		"sealed.createKeyFile ", "does not start again",
	},
}

// The trials of crashes find what they are there for: the first two faults
// always, the others in a campaign.
func TestTrialCrashMutants(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "faults that only a crash shows, planted")
	for _, m := range crashMutants[:tr.Size(2, len(crashMutants))] {
		t.Run(m.name, func(t *testing.T) {
			tr.Run()
			program := crashing(t, "cmd/campaign/small", m.faults...)
			first, _ := passed(t, program)
			var crashes []crash
			for _, p := range first {
				if strings.HasPrefix(p.Name, m.at) {
					crashes = append(crashes, crash{point: p.Name, hit: 1})
				}
			}
			var found atomic.Bool
			beside(t, 16, len(crashes), func(t testing.TB, n int) {
				if err := crashes[n].meet(t, program, mutantPatience).found; err != nil && strings.Contains(err.Error(), m.found) {
					found.Store(true)
				}
			}, func(int, string) {})
			if !found.Load() {
				tr.Violation("%d crashes have not shown that %s", len(crashes), m.name)
			}
		})
	}
}

// Those that only a campaign plants still apply.
func TestCrashMutantsApply(t *testing.T) {
	for _, m := range crashMutants {
		if _, err := edited(t.TempDir(), m.faults...); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// mutantPatience is how long what is lost is waited for.
const mutantPatience = 3 * time.Second
