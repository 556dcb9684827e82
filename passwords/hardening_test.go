package passwords

import (
	"strings"
	"testing"
	"time"
)

// Whoever may send a password sends the one that takes longest, and each of
// them holds up somebody else's. A megabyte is let in here, so that anything
// that is not linear takes minutes.
func TestCheckIsLinear(t *testing.T) {
	const size = 1 << 20
	p, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.rules.MaxBytes = size
	about := []string{strings.Repeat("a", 100) + "b@" + strings.Repeat("ab.", 80), strings.Repeat("aab ", 60)}
	fibonacci := []string{"a", "ab"} // every prefix of it nearly repeats itself
	for len(fibonacci[1]) < size {
		fibonacci = []string{fibonacci[1], fibonacci[1] + fibonacci[0]}
	}
	for name, password := range map[string]string{
		"one letter":         strings.Repeat("a", size),
		"nearly one letter":  strings.Repeat("a", size-1) + "b",
		"two letters":        strings.Repeat("ab", size/2),
		"keyboard":           strings.Repeat("qwertrew", size/8),
		"repetitions nested": fibonacci[1][:size],
		"signs":              strings.Repeat("a@", size/2),
		"words":              strings.Repeat("password ", size/9),
		"combining marks":    "e" + strings.Repeat("\u0323", (size-1)/2),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			p.Check(password, about)
			// Far above what a busy machine needs.
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	p, err := New(Options{MinLength: 8, Site: []string{"Example", "www.example.com"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "password", "p@ssw0rd1", "a\u0301\u0301", "\xff", "\x00", "1qaz2wsx", "alice alice", "{}|", "\u00b2\u0660"} {
		f.Add(s, "alice@example.com")
	}
	f.Fuzz(func(t *testing.T, password, about string) {
		if len(about) > 512 {
			return
		}
		reasons := p.Check(password, []string{about})
		order := map[Code]int{TooShort: 1, TooLong: 1, NotText: 2, Common: 2, Expected: 2}
		last := 0
		for _, r := range reasons {
			if order[r.Code] <= last {
				t.Fatalf("%q: %v", password, reasons)
			}
			last = order[r.Code]
		}
		if len(password) < 8 && len(reasons) == 0 {
			t.Fatalf("%q passes", password)
		}
	})
}

func FuzzLoadBlocklist(f *testing.F) {
	f.Add("\ufeffword\r\n# comment\n\n")
	f.Add("a\x00\n\xff")
	f.Fuzz(func(t *testing.T, in string) {
		words, err := LoadBlocklist(strings.NewReader(in))
		if err != nil {
			return
		}
		for _, w := range words {
			if w == "" || w != strings.Trim(w, " \t\r") || w[0] == '#' {
				t.Fatalf("%q", w)
			}
		}
	})
}
