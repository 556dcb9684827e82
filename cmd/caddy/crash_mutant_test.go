package main

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// crashMutants are programs that lose something in a crash, each with where the
// crash has to come and what is found then.
var crashMutants = []struct {
	name   string
	faults []mutation
	at     string // what the names of the points begin with
	found  string
}{
	{
		"a mail's job ends before the mail is sent",
		[]mutation{{"reset/mailing.go", "\td := s.send(ctx, l)\n", "\t_ = s.finish(ctx, h, nil)\n\td := s.send(ctx, l)\n"}},
		"smtpout.(*Client).Send ", "accepted and never mailed",
	},
	{
		"a grant is claimed, and then the change journalled",
		[]mutation{
			{"reset/change.go", "\tif err := s.addJob(tx, jobChange, j, due); err != nil {\n\t\treturn err\n\t}\n\ta.change", "\ta.change"},
			{
				"reset/change.go", "\terr = s.update(ctx, a.write)\n",
				"\terr = s.update(ctx, a.write)\n\tif err == nil {\n\t\terr = s.update(ctx, func(tx kv.Tx) error { return putRow(tx, a.held.key, a.held.job, jobStep) })\n\t}\n",
			},
		},
		"reset.(*Site).accept ", "never reached the app",
	},
}

// The trials of crashes find what they are there for.
func TestCrashesFindWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, m := range crashMutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			program := crashing(t, "cmd/campaign/small", m.faults...)
			first, _ := reached(t, program)
			var crashes []crash
			for _, p := range first {
				if strings.HasPrefix(p.Name, m.at) {
					crashes = append(crashes, crash{point: p.Name, hit: 1})
				}
			}
			var found atomic.Bool
			inCrowd(t, 8, len(crashes), func(t testing.TB, n int) {
				if err := crashes[n].meet(t, program, 3*time.Second).found; err != nil && strings.Contains(err.Error(), m.found) {
					found.Store(true)
				}
			}, func(int, string) {})
			if !found.Load() {
				t.Errorf("%d crashes have shown nothing", len(crashes))
			}
		})
	}
}
