package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// sweepAfter is when a server first looks for expired rows.
	sweepAfter = 30 * time.Second

	// sweepTime is how long it may go on before the last look.
	sweepTime = 90 * time.Second
)

// sweeping measures how a server accepts requests before it sweeps expired rows,
// which lie beside as many live grants, when it begins to, and when much is swept:
// what was freed must not make each write dearer. The rows are those of a fifth as
// many grants, and are listed once for each of these.
func (b *bench) sweeping(ctx context.Context) (err error) {
	grants := min(b.grants, bounded) / rowsOfGrant
	expired := grants * rowsOfGrant
	b.say("making a store with %d expired rows", expired)
	now := time.Now()
	old := cohort{first: 1, count: grants, oldest: now.Add(-4 * grantLife), span: grantLife, expired: true}
	live := cohort{first: 1 + grants, count: grants, oldest: now.Add(-mintedIn), span: mintedIn}
	g, err := b.grow(ctx, old, live)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.stop(), os.RemoveAll(g.home)) }()
	b.say("measuring")
	begins := g.begun.Add(sweepAfter)
	asked := 1           // as the first account has had its mail
	var samples []sample // before, early, late
	for _, from := range []time.Time{time.Now(), begins, begins.Add(sweepTime)} {
		select {
		case <-time.After(time.Until(from)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s, err := b.acceptOn(ctx, g.server, asked, min(b.each, sweepAfter/4))
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		asked += s.requests
		samples = append(samples, s)
	}
	took := time.Since(begins)
	if err := g.stop(); err != nil {
		return err
	}
	left, err := overdue(storePath(g.home))
	if err != nil {
		return err
	}
	if left >= grants {
		return errors.New("nothing was swept")
	}
	before, early, late := milliseconds(samples[0].p99()), milliseconds(samples[1].p99()), milliseconds(samples[2].p99())
	of := max(early, late) / before
	b.add(row{
		What: fmt.Sprintf("growth: accept p99 while %d expired rows of %d grants are swept", expired, grants), Target: "≤ 2 × before",
		Text: fmt.Sprintf("%.2f × (%.2f ms before, %.2f and after %s %.2f; p50 %.2f, %.2f, %.2f; %d grants left after %.0f s)", of, before, early, sweepTime, late,
			milliseconds(samples[0].p50()), milliseconds(samples[1].p50()), milliseconds(samples[2].p50()), left, took.Seconds()),
		Verdict: atMost(of, 2), Values: map[string]float64{"ratio": of, "before_ms": before, "early_ms": early, "late_ms": late, "left": float64(left)},
	})
	return nil
}
