package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// rest is how long a server may come to rest before its memory is read.
	rest = 3 * time.Second

	// fewAccounts is how many there are where those are not what is measured.
	fewAccounts = 1000
)

// footprint measures what password reset adds to Caddy: bytes of the program,
// memory at rest, time to start.
func (b *bench) footprint(ctx context.Context) error {
	with, err := os.Stat(b.ours)
	if err != nil {
		return err
	}
	without, err := os.Stat(b.plain)
	if err != nil {
		return err
	}
	size := float64(with.Size()-without.Size()) / (1 << 20)
	b.add(row{
		What: "program, more than Caddy alone", Target: "≤ 6 MiB",
		Text:    fmt.Sprintf("%.1f MiB (%.1f and %.1f)", size, float64(with.Size())/(1<<20), float64(without.Size())/(1<<20)),
		Verdict: atMost(size, 6), Values: map[string]float64{"MiB": size},
	})

	few := func(ctx context.Context) (*server, error) { return b.siteOf(ctx, fewAccounts) }
	var memory, start [3][]float64 // with us, without, with us and many accounts
	for range 5 {
		for i, launch := range []func(context.Context) (*server, error){few, b.alone, b.site} {
			s, err := launch(ctx)
			if err != nil {
				return err
			}
			time.Sleep(rest)
			used, err := s.memory()
			if err != nil {
				return err
			}
			memory[i], start[i] = append(memory[i], used), append(start[i], milliseconds(s.began))
			if err := s.stop(); err != nil {
				return err
			}
		}
	}
	more := median(memory[0]) - median(memory[1])
	b.add(row{
		What: "memory at rest, more than Caddy alone", Target: "≤ 15 MiB",
		Text:    fmt.Sprintf("%.1f MiB (%.1f and %.1f)", more, median(memory[0]), median(memory[1])),
		Verdict: atMost(more, 15), Values: map[string]float64{"MiB": more},
	})
	all := median(memory[2]) - median(memory[0])
	b.add(row{
		What: fmt.Sprintf("memory of %d accounts in a file", b.accounts),
		Text: fmt.Sprintf("%.1f MiB", all), Values: map[string]float64{"MiB": all},
	})
	b.add(row{
		What: "start, empty store", Target: "≤ 1 s",
		Text:    fmt.Sprintf("%.0f ms (Caddy alone %.0f, %d accounts in a file %.0f)", median(start[0]), median(start[1]), b.accounts, median(start[2])),
		Verdict: atMost(median(start[0]), 1000),
		Values:  map[string]float64{"ms": median(start[0]), "plain_ms": median(start[1]), "many_accounts_ms": median(start[2])},
	})
	return nil
}
