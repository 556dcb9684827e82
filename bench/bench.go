package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// settings are what the flags say.
type settings struct {
	each     time.Duration // how long one load lasts
	grants   int           // that the largest store holds
	profiles string        // folder to write them to, or none
}

// check says what is wrong with the flags.
func (s settings) check() error {
	rest := s.grants
	for rest > 1 && rest%10 == 0 {
		rest /= 10
	}
	switch {
	case rest != 1 || s.grants < 10*fewGrants:
		return fmt.Errorf("-grants %d: write a power of ten from %d", s.grants, 10*fewGrants)
	case s.each < time.Second:
		return fmt.Errorf("-each %v: write 1s or more", s.each)
	}
	return nil
}

// A bench holds what all measurements share: the programs and the peers.
type bench struct {
	settings
	dir         string
	ours, plain string // programs
	relay       *relay
	app         *app
	accounts    int
	progress    io.Writer

	homes int
	rows  []row
}

// newBench builds both programs and starts the peers.
func newBench(ctx context.Context, s settings, progress io.Writer) (_ *bench, err error) {
	b := &bench{settings: s, progress: progress, accounts: 200_000}
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	for program, path := range map[string]*string{"./cmd/caddy": &b.ours, "./bench/plain": &b.plain} {
		*path = filepath.Join(b.dir, filepath.Base(program))
		if err := build(ctx, program, *path); err != nil {
			return nil, err
		}
	}
	if b.relay, err = newRelay(); err != nil {
		return nil, err
	}
	b.app, err = newApp()
	return b, err
}

// build builds a program of this module as a release is built.
func build(ctx context.Context, program, path string, flags ...string) error {
	args := slices.Concat([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", path}, flags, []string{program})
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("building %s, for which this has to run in a checkout: %w\n%s", program, err, out)
	}
	return nil
}

func (b *bench) close() {
	if b.relay != nil {
		b.relay.close()
	}
	if b.app != nil {
		b.app.close()
	}
	_ = os.RemoveAll(b.dir)
}

// home makes the folder of a server.
func (b *bench) home() (string, error) {
	b.homes++
	home := filepath.Join(b.dir, fmt.Sprint("home", b.homes))
	return home, os.Mkdir(home, 0o700)
}

// site starts a fresh server with password reset and all accounts.
func (b *bench) site(ctx context.Context) (*server, error) { return b.siteOf(ctx, b.accounts) }

// siteOf starts one with that many. One mail is sent, to the last, which reads the
// directory: an operator's server has done so long before.
func (b *bench) siteOf(ctx context.Context, accounts int) (*server, error) {
	s, err := b.serve(ctx, b.ours, b.relay.addr, b.app.addr, accounts)
	if err != nil {
		return nil, err
	}
	before := b.relay.mails.Load()
	_, err = once(s.addr, ask(s.addr, accounts-1)).run(ctx, time.Minute)
	if err == nil {
		_, err = b.drain(ctx, before, 1)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	b.relay.take()
	return s, nil
}

// serve starts a program with password reset that faces these peers.
func (b *bench) serve(ctx context.Context, program, relay, app string, accounts int) (*server, error) {
	home, err := b.home()
	if err != nil {
		return nil, err
	}
	if err := writeAccounts(home, accounts); err != nil {
		return nil, err
	}
	return launch(ctx, program, home, facing(relay, app), b.profiles != "")
}

// alone starts a server without password reset.
func (b *bench) alone(ctx context.Context) (*server, error) {
	home, err := b.home()
	if err != nil {
		return nil, err
	}
	return launch(ctx, b.plain, home, plain, false)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// add notes a figure.
func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	b.say("%s: %s %s", r.What, r.Text, r.Verdict)
}
