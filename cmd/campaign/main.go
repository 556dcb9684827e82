// Command campaign tries every fault and attack that the tests know, many
// times, and prints what came of it as a table:
//
//	go run ./cmd/campaign
//
// It runs the tests called TestTrial… at their night size (package trial), then
// those called TestMeasure…, alone; then it plants faults in the source and
// expects a test to find each (package mutant); then it fuzzes every fuzz
// target. It ends with status 1 if anything was found, did not end, or if
// nothing was tried.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/machine"
	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/mutant"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := &campaign{progress: stderr, mutants: mutant.All()}
	flags := flag.NewFlagSet("campaign", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: go run ./cmd/campaign [flags] [packages]")
		flags.PrintDefaults()
	}
	flags.DurationVar(&c.total, "for", 3*time.Hour, "`duration` of the whole; what does not end in its share of it is cut off, and said")
	flags.Uint64Var(&c.seed, "seed", 0, "repeat with the `seed` of an earlier run, where the tests come from the same source")
	pattern := flags.String("run", "", "only tests, fuzz targets and mutants whose name matches a `regexp`: reset.TestTrialX, web.FuzzClean, part of a mutant's name")
	flags.StringVar(&c.only, "only", "", "only one `part`: trials, measures, mutants or fuzz")
	asJSON := flags.Bool("json", false, "print JSON in place of the table")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var err error
	if c.match, err = regexp.Compile(*pattern); err != nil {
		fmt.Fprintln(stderr, "-run:", err)
		return 2
	}
	if !slices.Contains([]string{"", "trials", "measures", "mutants", "fuzz"}, c.only) {
		fmt.Fprintln(stderr, "-only: there is no part", c.only)
		return 2
	}
	if c.packages = flags.Args(); len(c.packages) == 0 {
		c.packages = []string{"./..."}
	}
	r := report{Machine: machine.Name(), Began: time.Now()}
	r.Rows = c.run(ctx)
	r.Seconds = time.Since(r.Began).Seconds()
	write := r.text
	if *asJSON {
		write = r.json
	}
	if err := write(stdout); err != nil {
		fmt.Fprintln(stderr, "writing the table:", err)
		return 1
	}
	if !r.sound() {
		return 1
	}
	return 0
}
