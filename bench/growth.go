package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// grantLife and mintedIn make grants that are live for longer than anything
	// here takes, and minted over a time, as a busy site's are.
	grantLife = 24 * time.Hour
	mintedIn  = 12 * time.Hour

	// mostTokens is how many of a store's grants are used, evenly spread.
	mostTokens = 20_000

	// fewGrants is what more are compared with, and up to bounded there are targets
	// for what grows with them.
	fewGrants = 1000
	bounded   = 1_000_000

	// growthTurns is how often two servers that are compared take their turn.
	growthTurns = 5
)

// A grown server is one on a store that holds grants already.
type grown struct {
	*server
	bytes   int64         // of the store, at first
	started time.Duration // until the first request was accepted, with one account
	begun   time.Time     // when the server had started that runs now
}

// grow starts a server on a store with the rows of the cohorts.
func (b *bench) grow(ctx context.Context, cohorts ...cohort) (g grown, err error) {
	home, err := b.home()
	if err != nil {
		return g, err
	}
	if err := writeAccounts(home, 1); err != nil {
		return g, err
	}
	if err := addAccount(home, holder(0)); err != nil {
		return g, err
	}
	token, err := b.first(ctx, home)
	if err != nil {
		return g, fmt.Errorf("minting the grant that the others are made by: %w", err)
	}
	if err := fillStore(ctx, storePath(home), token, cohorts...); err != nil {
		return g, fmt.Errorf("filling a store: %w", err)
	}
	info, err := os.Stat(storePath(home))
	if err != nil {
		return g, err
	}
	g.bytes = info.Size()
	// What a start takes with many accounts is reading those.
	small, started, err := b.answering(ctx, home, 0)
	if err != nil {
		return g, err
	}
	g.started = started
	if err := errors.Join(small.stop(), writeAccounts(home, b.accounts)); err != nil {
		return g, err
	}
	g.server, _, err = b.answering(ctx, home, b.accounts-1)
	g.begun = time.Now()
	return g, err
}

// answering starts a server and waits until it has sent its first mail, to the
// n-th account. It returns how long it took until the request was accepted.
func (b *bench) answering(ctx context.Context, home string, n int) (site *server, started time.Duration, err error) {
	begun, before := time.Now(), b.relay.mails.Load()
	if site, err = b.lasting(ctx, home); err != nil {
		return nil, 0, err
	}
	_, err = once(site.addr, ask(site.addr, n)).run(ctx, time.Minute)
	started = time.Since(begun)
	if err == nil {
		_, err = b.drain(ctx, before, 1)
	}
	if err != nil {
		return nil, 0, errors.Join(err, site.stop())
	}
	return site, started, nil
}

// lasting starts a server whose grants live long.
func (b *bench) lasting(ctx context.Context, home string) (*server, error) {
	options := fmt.Sprintf("id %s\n\t\tlink_ttl %s\n\t\tlimits {", siteID, grantLife)
	return launch(ctx, b.ours, home, strings.Replace(facing(b.relay.addr, b.app.addr), "limits {", options, 1), b.profiles != "")
}

// first has a server make a store and mint a grant in it, and returns its token.
func (b *bench) first(ctx context.Context, home string) (token string, err error) {
	site, err := b.lasting(ctx, home)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, site.stop()) }()
	b.relay.take()
	before := b.relay.mails.Load()
	if _, err := once(site.addr, askFor(site.addr, holder(0))).run(ctx, time.Minute); err != nil {
		return "", err
	}
	if _, err := b.drain(ctx, before, 1); err != nil {
		return "", err
	}
	if tokens := b.relay.take(); len(tokens) == 1 {
		return tokens[0], nil
	}
	return "", errors.New("the mail holds no link")
}

// storePath is where a server has its store, unless told otherwise.
func storePath(home string) string { return filepath.Join(home, "caddy", "password_reset", "reset.db") }

// addAccount adds one account to the directory.
func addAccount(home, login string) error {
	f, err := os.OpenFile(filepath.Join(home, "accounts.csv"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s,%[1]s,%[1]s@example.com\n", login)
	return errors.Join(err, f.Close())
}

// A stage is a server with that many live grants, and what was measured on it.
type stage struct {
	grown
	grants cohort
	turn   int

	complete, accept sample
	memory           float64 // MiB, after all that
}

// stage starts a server with that many live grants.
func (b *bench) stage(ctx context.Context, grants int) (s *stage, err error) {
	b.say("making a store of %d grants", grants)
	s = &stage{grants: cohort{first: 1, count: grants, oldest: time.Now().Add(-mintedIn), span: mintedIn}}
	if s.grown, err = b.grow(ctx, s.grants); err != nil {
		return nil, err
	}
	return s, nil
}

// use measures a share of all that is to be measured on a server: the others have
// their turn in between, so that what else the machine does falls on all alike.
func (b *bench) use(ctx context.Context, s *stage) error {
	uses := min(s.grants.count, mostTokens)
	share := uses / growthTurns
	before, mails := b.app.count(), b.relay.mails.Load()
	completed, err := load{
		address: s.addr, connections: 16,
		request: func(n int) []byte {
			if n >= share {
				return nil
			}
			// In no order: neighbours in the store are not used one after another.
			n = (s.turn*share + n) * 7919 % uses
			return change(s.addr, s.grants.token(s.grants.first+int(int64(n)*int64(s.grants.count)/int64(uses))))
		},
		accepts: changed,
	}.run(ctx, b.each/growthTurns)
	if err != nil {
		return fmt.Errorf("completing: %w", err)
	}
	if got := b.app.count() - before; got != completed.requests {
		return fmt.Errorf("%d changes for %d passwords that were taken", got, completed.requests)
	}
	if _, err := b.drain(ctx, mails, completed.requests); err != nil {
		return fmt.Errorf("sending notices: %w", err)
	}
	accepted, err := b.acceptOn(ctx, s.server, 1+s.accept.requests, b.each/growthTurns)
	if err != nil {
		return fmt.Errorf("accepting: %w", err)
	}
	s.turn++
	s.complete, s.accept = s.complete.and(completed), s.accept.and(accepted)
	s.memory, err = s.server.memory()
	return err
}

// acceptOn measures how a server accepts requests, of accounts from first on,
// while its worker mails, and waits until it has mailed all. The first account has
// had its mail at the start.
func (b *bench) acceptOn(ctx context.Context, site *server, first int, most time.Duration) (sample, error) {
	before := b.relay.mails.Load()
	s, err := load{
		address: site.addr, connections: 16,
		request: b.asking(site, first),
		accepts: answered(http.StatusAccepted),
	}.run(ctx, most)
	if err != nil {
		return s, err
	}
	_, err = b.drain(ctx, before, s.requests)
	return s, err
}

// growth compares servers with ever more live grants with one that has few. The
// first comparison is of two that have as few, which tells how much is noise.
func (b *bench) growth(ctx context.Context) error {
	sizes := []int{fewGrants}
	for n := 10 * fewGrants; n <= b.grants; n *= 10 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		if err := b.compareGrown(ctx, n); err != nil {
			return fmt.Errorf("with %d grants: %w", n, err)
		}
	}
	return nil
}

// compareGrown measures a server with that many live grants and one with few, in
// turns.
func (b *bench) compareGrown(ctx context.Context, grants int) (err error) {
	var stages []*stage // few, many
	for _, n := range []int{fewGrants, grants} {
		s, err := b.stage(ctx, n)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.end()) }()
		stages = append(stages, s)
	}
	b.say("measuring")
	if err := inTurns(growthTurns, len(stages), func(i int) error { return b.use(ctx, stages[i]) }); err != nil {
		return err
	}
	few, many := stages[0], stages[1]
	what := fmt.Sprintf("growth: %d live grants", grants)
	for _, s := range stages {
		b.add(row{
			What: fmt.Sprintf("%s, figures of %d", what, s.grants.count),
			Text: fmt.Sprintf("accept p50 %.2f, p99 %.2f ms, %.0f/s; complete p50 %.2f, p99 %.2f ms, %.0f/s; store %.0f MiB",
				milliseconds(s.accept.p50()), milliseconds(s.accept.p99()), s.accept.rate(),
				milliseconds(s.complete.p50()), milliseconds(s.complete.p99()), s.complete.rate(), float64(s.bytes)/(1<<20)),
			Values: map[string]float64{
				"accept_p50_ms": milliseconds(s.accept.p50()), "accept_p99_ms": milliseconds(s.accept.p99()), "accepts_per_s": s.accept.rate(),
				"complete_p50_ms": milliseconds(s.complete.p50()), "complete_p99_ms": milliseconds(s.complete.p99()), "completes_per_s": s.complete.rate(),
				"memory_MiB": s.memory, "start_ms": milliseconds(s.started), "store_bytes": float64(s.bytes),
			},
		})
	}
	for _, r := range []struct {
		name string
		of   float64
		most float64
	}{
		{"accept p50", float64(many.accept.p50()) / float64(few.accept.p50()), 1.5},
		{"complete p50", float64(many.complete.p50()) / float64(few.complete.p50()), 2},
	} {
		row := row{What: what + ", " + r.name, Target: fmt.Sprintf("≤ %g × at %d", r.most, fewGrants), Text: fmt.Sprintf("%.2f ×", r.of), Verdict: atMost(r.of, r.most), Values: map[string]float64{"ratio": r.of}}
		if r.name == "complete p50" && grants > bounded {
			row.Target, row.Verdict = "", reported // account records are random keys by nature
		}
		b.add(row)
	}
	more := many.memory - few.memory
	memory := row{What: what + ", memory", Text: fmt.Sprintf("%+.0f MiB (%.0f)", more, many.memory), Values: map[string]float64{"MiB": more}}
	if grants <= bounded {
		memory.Target, memory.Verdict = "≤ + 64 MiB", atMost(more, 64)
	}
	b.add(memory)
	b.add(row{
		What: what + ", start", Target: "≤ 1 s",
		Text:    fmt.Sprintf("%.0f ms until the first request was accepted (%.0f)", milliseconds(many.started), milliseconds(few.started)),
		Verdict: atMost(many.started.Seconds(), 1), Values: map[string]float64{"ms": milliseconds(many.started), "few_ms": milliseconds(few.started)},
	})
	return nil
}

// end stops the server and removes its store: the disk may hold only one.
func (s *stage) end() error { return errors.Join(s.stop(), os.RemoveAll(s.home)) }
