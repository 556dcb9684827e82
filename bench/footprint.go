package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// rest is how long a server may come to rest before its memory is read.
const rest = 3 * time.Second

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

	var memory, start [2][]float64 // with us, without
	for range 5 {
		for i, launch := range []func(context.Context) (*server, error){b.site, b.alone} {
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
	b.add(row{
		What: "start, empty store", Target: "≤ 1 s",
		Text:    fmt.Sprintf("%.0f ms (Caddy alone %.0f)", median(start[0]), median(start[1])),
		Verdict: atMost(median(start[0]), 1000), Values: map[string]float64{"ms": median(start[0]), "plain_ms": median(start[1])},
	})
	return nil
}
