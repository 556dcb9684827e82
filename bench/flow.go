package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// flow measures the way of a reset.
func (b *bench) flow(ctx context.Context) error {
	respond, err := b.respond(ctx)
	if err != nil {
		return err
	}
	b.add(respond.row("Caddy alone, respond, 64 connections", "", reported))
	most := min(10_000, 0.3*respond.rate())
	var mails float64
	for _, t := range []struct {
		connections int
		target      string
		reached     func(s sample) verdict
	}{
		{1, "p50 ≤ 1 ms", func(s sample) verdict { return atMost(milliseconds(s.p50()), 1) }},
		{16, "≥ 5,000/s", func(s sample) verdict { return atLeast(s.rate(), 5000) }},
		{64, fmt.Sprintf("≥ %.0f/s, p99 ≤ 15 ms", most), func(s sample) verdict {
			return atLeast(s.rate(), most).and(atMost(milliseconds(s.p99()), 15))
		}},
	} {
		a, err := b.accept(ctx, t.connections)
		if err != nil {
			return fmt.Errorf("accepting, %s: %w", connected(t.connections), err)
		}
		b.add(a.load.row("request accepted, "+connected(t.connections), t.target, t.reached(a.load)))
		mails = a.mails
		if t.connections == 64 {
			b.add(row{
				What: "memory under that load, more than at rest", Target: "≤ 100 MiB", Text: fmt.Sprintf("%.0f MiB", a.memory),
				Verdict: atMost(a.memory, 100), Values: map[string]float64{"MiB": a.memory},
			})
		}
	}
	if err := b.allocations(ctx); err != nil {
		return err
	}
	if err := b.mailRate(ctx, mails); err != nil {
		return err
	}
	for _, t := range []struct {
		connections int
		target      string
		reached     func(s sample) verdict
	}{
		{1, "", func(sample) verdict { return reported }},
		{16, "≥ 3,000/s, p99 ≤ 30 ms", func(s sample) verdict {
			return atLeast(s.rate(), 3000).and(atMost(milliseconds(s.p99()), 30))
		}},
	} {
		s, err := b.complete(ctx, t.connections, 20_000)
		if err != nil {
			return fmt.Errorf("completing, %s: %w", connected(t.connections), err)
		}
		b.add(s.row("reset completed, "+connected(t.connections), t.target, t.reached(s)))
	}
	return nil
}

func connected(connections int) string {
	if connections == 1 {
		return "1 connection"
	}
	return fmt.Sprint(connections, " connections")
}

// mailRate compares how fast a queue was emptied with what the SMTP library
// alone can hand over.
func (b *bench) mailRate(ctx context.Context, mails float64) error {
	alone, err := b.handover(ctx, b.relay.message())
	if err != nil {
		return fmt.Errorf("handing mails over: %w", err)
	}
	b.add(row{
		What: "mails out of the queue, 4 connections", Target: "≥ 0.6 of go-smtp alone",
		Text:    fmt.Sprintf("%.0f/s, %.2f of %.0f/s", mails, mails/alone, alone),
		Verdict: atLeast(mails/alone, 0.6), Values: map[string]float64{"rate": mails, "alone": alone},
	})
	return nil
}

// An acceptance is how requests for a mail were accepted, and their mails sent.
type acceptance struct {
	load   sample
	memory float64 // MiB, at most, above what the server had at rest
	mails  float64 // a second, from when no mail was held back any more
}

// accept measures a fresh server with an empty queue, with its worker running,
// and waits until each request has its mail.
func (b *bench) accept(ctx context.Context, connections int) (a acceptance, err error) {
	site, err := b.site(ctx)
	if err != nil {
		return a, err
	}
	defer site.stop()
	atRest, err := site.memory()
	if err != nil {
		return a, err
	}
	before := b.relay.mails.Load()
	highest := site.highest(ctx)
	done := b.profile(ctx, site, fmt.Sprint("accept-", connections), b.each)
	a.load, err = load{
		address: site.addr, connections: connections,
		request: b.asking(site, 0),
		accepts: answered(http.StatusAccepted),
	}.on(ctx, site, b.each)
	done()
	if err != nil {
		return a, err
	}
	done = b.profile(ctx, site, fmt.Sprint("mail-", connections), b.each/2)
	a.mails, err = b.drain(ctx, before, a.load.requests)
	done()
	a.memory = highest() - atRest
	return a, err
}

// spread is how long the first attempt at a mail may wait, so that the time of
// its sending tells nothing.
const spread = 2 * time.Second

// drain waits until all mails have come, each once, and returns how many came a
// second from when none of them was held back any more.
func (b *bench) drain(ctx context.Context, before int64, all int) (rate float64, err error) {
	come := func() int { return int(b.relay.mails.Load() - before) }
	select {
	case <-time.After(spread):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	begun, from := time.Now(), come()
	for last, since := from, begun; come() < all; time.Sleep(time.Millisecond) {
		switch now := come(); {
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case now != last:
			last, since = now, time.Now()
		case time.Since(since) > time.Minute:
			return 0, fmt.Errorf("%d of %d mails have not come", all-now, all)
		}
	}
	if come() > all {
		return 0, fmt.Errorf("%d mails came for %d requests", come(), all)
	}
	return float64(come()-from) / time.Since(begun).Seconds(), nil
}

// complete measures how new passwords are taken, by tokens of mails that have
// come, and sees that the app had each change once.
func (b *bench) complete(ctx context.Context, connections, most int) (s sample, err error) {
	site, err := b.site(ctx)
	if err != nil {
		return s, err
	}
	defer site.stop()
	tokens, err := b.tokens(ctx, site, most)
	if err != nil {
		return s, err
	}
	changes, before := b.app.count(), b.relay.mails.Load()
	done := b.profile(ctx, site, fmt.Sprint("complete-", connections), b.each)
	s, err = load{
		address: site.addr, connections: connections,
		request: func(n int) []byte {
			if n >= len(tokens) {
				return nil
			}
			return change(site.addr, tokens[n])
		},
		accepts: changed,
	}.on(ctx, site, b.each)
	done()
	if err != nil {
		return s, err
	}
	if got := b.app.count() - changes; got != s.requests {
		return s, fmt.Errorf("%d changes for %d passwords that were taken", got, s.requests)
	}
	_, err = b.drain(ctx, before, s.requests) // each owner is told
	return s, err
}

// tokens asks for mails and returns their tokens.
func (b *bench) tokens(ctx context.Context, site *server, most int) ([]string, error) {
	b.relay.take()
	before := b.relay.mails.Load()
	asked, err := load{
		address: site.addr, connections: 64,
		request: func(n int) []byte {
			if n >= most {
				return nil
			}
			return ask(site.addr, n)
		},
		accepts: answered(http.StatusAccepted),
	}.run(ctx, time.Minute)
	if err != nil {
		return nil, err
	}
	if _, err := b.drain(ctx, before, asked.requests); err != nil {
		return nil, err
	}
	return b.relay.take(), nil
}

// respond measures Caddy alone.
func (b *bench) respond(ctx context.Context) (s sample, err error) {
	site, err := b.alone(ctx)
	if err != nil {
		return s, err
	}
	defer site.stop()
	return load{
		address: site.addr, connections: 64,
		request: func(int) []byte { return get(site.addr, "/") },
		accepts: answered(http.StatusOK),
	}.on(ctx, site, b.each)
}
