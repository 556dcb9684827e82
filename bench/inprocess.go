package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// A benchmark is what one of the benchmarks among the tests has measured.
type benchmark struct {
	name            string // without "Benchmark"
	ns, allocations float64
}

// inProcess runs the benchmarks of a package that match a pattern.
func inProcess(ctx context.Context, pattern, pack string) ([]benchmark, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run=NONE", "-bench="+pattern, "-benchmem", "-benchtime=1s", pack).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("measuring in process: %w\n%s", err, out)
	}
	return readBenchmarks(out)
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+\d+ B/op\s+(\d+) allocs/op`)

// readBenchmarks reads what `go test -bench` prints.
func readBenchmarks(out []byte) (all []benchmark, err error) {
	for _, m := range benchmarkLine.FindAllSubmatch(out, -1) {
		b := benchmark{name: string(m[1])}
		if b.ns, err = strconv.ParseFloat(string(m[2]), 64); err != nil {
			return nil, err
		}
		if b.allocations, err = strconv.ParseFloat(string(m[3]), 64); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no figure in what the benchmark printed: %.500s", out)
	}
	return all, nil
}

// allocations measures how often a request for a mail, as JSON, takes memory: in
// what is HTTP, and in what comes before the answer.
func (b *bench) allocations(ctx context.Context) error {
	http, err := inProcess(ctx, "^BenchmarkAsk$/^JSON$", "./web")
	if err != nil {
		return err
	}
	domain, err := inProcess(ctx, "^BenchmarkRequest$", "./reset")
	if err != nil {
		return err
	}
	b.add(row{
		What: "request accepted, in process", Text: fmt.Sprintf("%.0f + %.0f allocations, %.1f + %.1f µs (HTTP + before the answer)",
			http[0].allocations, domain[0].allocations, http[0].ns/1000, domain[0].ns/1000),
		Values: map[string]float64{
			"http_allocations": http[0].allocations, "domain_allocations": domain[0].allocations, "http_ns": http[0].ns, "domain_ns": domain[0].ns,
		},
	})
	return nil
}
