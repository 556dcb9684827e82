package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
)

const (
	// isolationTurns is how often servers in trouble and at rest take their turn.
	isolationTurns = 16

	// stuck is how long each commit takes of a store that is.
	stuck = 2 * time.Second

	// fullQueue is more than a queue takes.
	fullQueue = 110_000
)

// A trouble is something that goes wrong with password reset, and must not reach
// the other traffic of its site.
type trouble struct {
	name   string
	target string

	// begin starts the server that has it, and says what people do on it while
	// its other traffic is measured.
	begin func(b *bench, ctx context.Context) (*server, load, error)

	// drained says that what people did goes on for a while, which must not fall
	// on the turn of another server.
	drained bool

	// waiting is how long it takes at least until people are answered: in less the
	// trouble would not be there.
	waiting time.Duration
}

const untouched = "rate ≥ 0.9, or within the noise"

var troubles = []trouble{
	{name: "32 connections ask for mails, on the same cores, as the driver is", begin: (*bench).flooded, drained: true},
	{name: "the relay refuses, the queue is full", target: untouched, begin: (*bench).refused},
	{name: "the relay never answers, the queue is full", target: untouched, begin: (*bench).unheard},
	{name: "the app never answers new passwords", target: untouched, begin: (*bench).hanging, waiting: time.Second},
	{name: fmt.Sprintf("each commit of the store takes %s", stuck), target: untouched, begin: (*bench).stuck, waiting: stuck},
}

// isolation compares the other traffic of a site in trouble with that of one at
// rest, in turns, beside a second one at rest, which tells how much is noise.
func (b *bench) isolation(ctx context.Context) error {
	var quiet []*server
	for range 2 {
		s, err := b.site(ctx)
		if err != nil {
			return err
		}
		defer s.stop()
		quiet = append(quiet, s)
	}
	for _, t := range troubles {
		if err := b.isolate(ctx, quiet, t); err != nil {
			return fmt.Errorf("while %s: %w", t.name, err)
		}
	}
	return nil
}

// isolate measures one trouble.
func (b *bench) isolate(ctx context.Context, quiet []*server, t trouble) error {
	troubled, people, err := t.begin(b, ctx)
	if err != nil {
		return err
	}
	defer troubled.stop()
	crowd := gather(ctx, people)
	servers := []*server{quiet[0], quiet[1], troubled}
	rates, p99s := make([][]float64, len(servers)), make([][]float64, len(servers))
	err = inTurns(isolationTurns, len(servers), func(i int) error {
		if servers[i] == troubled {
			crowd.begin()
		}
		s, err := visits(servers[i].addr, 8).run(ctx, turn)
		if servers[i] == troubled {
			crowd.pause()
			if err == nil && t.drained {
				err = b.settle(ctx)
			}
		}
		rates[i], p99s[i] = append(rates[i], s.rate()), append(p99s[i], milliseconds(s.p99()))
		return err
	})
	met := crowd.end()
	if err := errors.Join(err, met.err); err != nil {
		return err
	}
	if met.p50() < t.waiting {
		return fmt.Errorf("people are answered in %v: there is no trouble", met.p50())
	}
	b.add(t.row(calm{compare(rates[1], rates[0]), compare(p99s[1], p99s[0])}, calm{compare(rates[2], rates[0]), compare(p99s[2], p99s[0])}))
	return nil
}

// A calm is how traffic relates to that of a server at rest.
type calm struct{ rate, p99 ratio }

// row shows what a trouble does to other traffic, beside what nothing does to it.
func (t trouble) row(noise, c calm) row {
	r := row{
		What: "other traffic while " + t.name, Target: t.target,
		Text: fmt.Sprintf("rate %v, p99 %.2f × (at rest twice: %v, %.2f ×)", c.rate, c.p99.of, noise.rate, noise.p99.of),
		Values: map[string]float64{
			"ratio": c.rate.of, "low": c.rate.low, "high": c.rate.high, "p99_ratio": c.p99.of,
			"noise_low": noise.rate.low, "noise_high": noise.rate.high, "noise_p99_ratio": noise.p99.of,
		},
	}
	if t.target != "" {
		r.Verdict = atLeast(c.rate.of, min(0.9, noise.rate.low))
	}
	return r
}

// flooded is a server with nothing wrong but that very many ask.
func (b *bench) flooded(ctx context.Context) (*server, load, error) {
	s, err := b.site(ctx)
	if err != nil {
		return nil, load{}, err
	}
	return s, load{
		address: s.addr, connections: 32,
		request: func(n int) []byte { return ask(s.addr, n) },
		accepts: answered(http.StatusAccepted),
	}, nil
}

// refused is a server whose relay is not there.
func (b *bench) refused(ctx context.Context) (*server, load, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, load{}, err
	}
	return b.queueing(ctx, addr)
}

// unheard is a server whose relay takes connections and says nothing.
func (b *bench) unheard(ctx context.Context) (*server, load, error) {
	addr, err := silence(ctx)
	if err != nil {
		return nil, load{}, err
	}
	return b.queueing(ctx, addr)
}

// queueing is a server that cannot send its mails. It has as many as it takes.
func (b *bench) queueing(ctx context.Context, relay string) (s *server, people load, err error) {
	if s, err = b.serve(ctx, b.ours, relay, b.app.addr, b.accounts); err != nil {
		return nil, people, err
	}
	var full atomic.Bool
	_, err = load{
		address: s.addr, connections: 64,
		request: func(n int) []byte {
			if full.Load() || n >= fullQueue {
				return nil
			}
			return ask(s.addr, n)
		},
		accepts: func(n, status int, body []byte) error {
			if status == http.StatusServiceUnavailable {
				full.Store(true)
				return nil
			}
			return answered(http.StatusAccepted)(n, status, body)
		},
	}.run(ctx, 2*time.Minute)
	if err == nil && !full.Load() {
		err = errors.New("the queue does not get full")
	}
	if err != nil {
		return nil, people, errors.Join(err, s.stop())
	}
	return s, people, nil
}

// hanging is a server whose app takes new passwords and never answers, while
// people complete resets.
func (b *bench) hanging(ctx context.Context) (s *server, people load, err error) {
	addr, err := silence(ctx)
	if err != nil {
		return nil, people, err
	}
	if s, err = b.serve(ctx, b.ours, b.relay.addr, addr, b.accounts); err != nil {
		return nil, people, err
	}
	tokens, err := b.tokens(ctx, s, 2000)
	if err != nil {
		return nil, people, errors.Join(err, s.stop())
	}
	return s, load{
		address: s.addr, connections: 16,
		request: func(n int) []byte {
			if n >= len(tokens) {
				return nil
			}
			return change(s.addr, tokens[n])
		},
		accepts: answered(http.StatusAccepted),
	}, nil
}

// stuck is a server whose store takes long for each commit, while people ask. Not
// all of them can wait until it has been.
func (b *bench) stuck(ctx context.Context) (*server, load, error) {
	program, err := b.buildStuck(ctx)
	if err != nil {
		return nil, load{}, err
	}
	s, err := b.serve(ctx, program, b.relay.addr, b.app.addr, b.accounts)
	if err != nil {
		return nil, load{}, err
	}
	return s, load{
		address: s.addr, connections: 16,
		request: func(n int) []byte { return ask(s.addr, n) },
		accepts: func(n, status int, body []byte) error {
			if status == http.StatusServiceUnavailable {
				return nil
			}
			return answered(http.StatusAccepted)(n, status, body)
		},
	}, nil
}

// buildStuck builds the server with a store that sleeps before each commit.
func (b *bench) buildStuck(ctx context.Context) (program string, err error) {
	dir := filepath.Join(b.dir, "stuck")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	o, err := overlay.New(dir)
	if err != nil {
		return "", err
	}
	const here = "if s.beforeCommit != nil {"
	if err := o.Replace("embeddedstore/writer.go", here, fmt.Sprintf("time.Sleep(%d)\n%s", stuck, here)); err != nil {
		return "", err
	}
	flag, err := o.Flag()
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "caddy")
	return program, build(ctx, "./cmd/caddy", program, flag)
}

// silence returns an address that takes connections and never answers, until ctx
// ends.
func silence(ctx context.Context) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
		}
	}()
	return l.Addr().String(), nil
}

// settle waits until no mail has come for as long as one may be held back.
func (b *bench) settle(ctx context.Context) error {
	for before, since := b.relay.mails.Load(), time.Now(); time.Since(since) < spread; {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if now := b.relay.mails.Load(); now != before {
			before, since = now, time.Now()
		}
	}
	return nil
}
