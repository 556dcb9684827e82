package tiny

import (
	"os"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

func TestTrialGood(t *testing.T) {
	tr := trial.New(t, "a number beyond the bounds")
	r := tr.Rand(0)
	for range tr.Size(10, 100) {
		tr.Run()
		if n := Clamp(r.IntN(1000), 10, 20); n < 10 || n > 20 {
			tr.Violation("%d", n)
		}
	}
}

func TestTrialBad(t *testing.T) {
	tr := trial.New(t, "what is found")
	tr.Run()
	tr.Violation("planted")
}

func TestTrialSkipped(t *testing.T) { t.Skip("strace is missing") }

func TestTrialHangs(t *testing.T) {
	if os.Getenv("TINY_HANG") != "1" {
		t.Skip("does not hang today")
	}
	select {}
}

func TestMeasureAlone(t *testing.T) {
	trial.Alone(t)
	tr := trial.New(t, "time")
	tr.Run()
	tr.Figures("1 ms")
}

// TestLower and TestUpper find the two mutants of Clamp that there are for
// them; TestBoth finds neither.
func TestLower(t *testing.T) {
	if Clamp(0, 1, 3) != 1 {
		t.Error("too low")
	}
}

func TestUpper(t *testing.T) {
	if Clamp(9, 1, 3) != 3 {
		t.Error("too high")
	}
}

func TestBoth(t *testing.T) {
	if Clamp(2, 1, 3) != 2 {
		t.Error("changed")
	}
}

func TestBroken(t *testing.T) { t.Error("fails anyway") }

func TestFatal(t *testing.T) {
	done := make(chan struct{})
	go func() {
		if Clamp(0, 1, 3) != 1 {
			panic("too low")
		}
		close(done) // not deferred: the test could end before the panic does
	}()
	<-done
}

func FuzzClamp(f *testing.F) {
	f.Fuzz(func(t *testing.T, n int) {
		if c := Clamp(n, 10, 20); c < 10 || c > 20 {
			t.Error(c)
		}
	})
}
