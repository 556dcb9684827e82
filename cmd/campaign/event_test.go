package main

import (
	"strings"
	"testing"
)

// What is no event is kept: it may be all that says what is wrong.
func TestReadEvents(t *testing.T) {
	l := newLedger()
	long := strings.Repeat("x", 1<<20)
	if err := readEvents(strings.NewReader("go: no module\n{broken\n"+`{"Action":"output","Package":"p","Test":"T","Output":"`+long+`"}`), l.add); err != nil {
		t.Fatal(err)
	}
	if l.stray != "go: no module\n{broken\n" {
		t.Errorf("stray %q", l.stray)
	}
	if n := len(l.test("p", "T").output); n < maxOutput || n > 2*maxOutput {
		t.Errorf("%d bytes are kept of a test", n)
	}
}
