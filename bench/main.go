// Command bench measures whole processes on this machine: Caddy with password
// reset and without, an app, a relay and a driver. It prints each target of
// docs/performance.md with what was measured beside it.
//
//	go run ./bench
//
// Nothing else should run meanwhile. Every answer is checked, and every mail and
// every change is counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/machine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A part is measurements that can be asked for by a name.
type part struct {
	name    string
	measure func(*bench, context.Context) error
}

var parts = []part{
	{"flow", (*bench).flow},
	{"foreign", (*bench).foreign},
	{"isolation", (*bench).isolation},
	{"footprint", (*bench).footprint},
	{"growth", (*bench).growth},
	{"sweep", (*bench).sweeping},
	{"enumeration", (*bench).enumeration},
}

// run returns the exit status: 0, 1 if a target is missed or something could not
// be measured, 2 for a wrong flag.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var s settings
	flags.DurationVar(&s.each, "each", 10*time.Second, "how long one load lasts, unless all accounts have asked before")
	flags.IntVar(&s.grants, "grants", bounded, "how many grants the largest store holds, in powers of ten from 10,000")
	flags.StringVar(&s.profiles, "profiles", "", "write processor profiles of the server in each load of flow into this `folder`")
	only := flags.String("only", "", "measure this `part` alone: "+names())
	most := flags.Duration("for", time.Hour, "give up after this time")
	asJSON := flags.Bool("json", false, "print JSON in place of the table")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if err := errors.Join(s.check(), checkPart(*only), checkArguments(flags.Args())); err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	ctx, cancel := context.WithTimeoutCause(ctx, *most, fmt.Errorf("not done after %v, see -for", *most))
	defer cancel()
	r, err := measure(ctx, s, *only, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
		if len(r.Rows) == 0 {
			return 1
		}
	}
	if *asJSON {
		err = errors.Join(err, r.writeJSON(stdout))
	} else {
		err = errors.Join(err, r.writeText(stdout))
	}
	if err != nil || r.missed() > 0 {
		return 1
	}
	return 0
}

func checkPart(only string) error {
	if only == "" || slices.ContainsFunc(parts, func(p part) bool { return p.name == only }) {
		return nil
	}
	return fmt.Errorf("-only takes one of %s, and not %s", names(), only)
}

func checkArguments(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s: there are flags only; to measure one part, write -only", args[0])
	}
	return nil
}

// measure returns what it could measure, also with an error.
func measure(ctx context.Context, s settings, only string, progress io.Writer) (r report, err error) {
	b, err := newBench(ctx, s, progress)
	if err != nil {
		return r, err
	}
	defer b.close()
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		if err = p.measure(b, ctx); err != nil {
			err = fmt.Errorf("measuring %s: %w", p.name, err)
			break
		}
	}
	return report{Machine: machine.Name(), Rows: b.rows}, err
}

func names() string {
	var list []string
	for _, p := range parts {
		list = append(list, p.name)
	}
	return strings.Join(list, " ")
}
