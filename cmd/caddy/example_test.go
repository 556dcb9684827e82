package main

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// The smallest production set-up serves with the environment variables that
// its comments name, towards a mail server with STARTTLS and AUTH.
func TestExampleServesTheWholeJourney(t *testing.T) {
	w := newWorld(t)
	w.start()
	var steps bytes.Buffer
	if err := demo.Drive(t.Context(), demo.DriveOptions{BaseURL: w.Site, Mailbox: w.Inbox, Out: &steps}); err != nil {
		t.Fatalf("%v\nafter\n%s", err, &steps)
	}
	w.stop()
}

// The first command of the README.
func TestDemoDrivesItself(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), binary(t), "password-reset", "demo", "--drive").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
