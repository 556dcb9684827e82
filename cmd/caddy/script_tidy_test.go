package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A tidier gives what differs in each run fixed names of the same length, so that
// columns stay where they are. Who has the same name before has it afterwards.
type tidier struct {
	names map[string]string // of addresses and folders
	given map[string]string
}

func newTidier(names map[string]string) *tidier {
	return &tidier{names: names, given: make(map[string]string)}
}

var (
	tidyTime      = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	tidyStamp     = regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b`)
	tidyJob       = regexp.MustCompile(`\bA[A-Za-z0-9_-]{20}[A-Za-z0-9_]\b`)
	tidyReference = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`)
	tidyLength    = regexp.MustCompile(`   +((\d+h)?\d+m|\d+h|\d+s|now)\b`) // of time, in a column of eight
	tidyAddress   = regexp.MustCompile(`\b127\.0\.0\.1:\d+\b`)
)

func (t *tidier) tidy(text string) string {
	// The longest first: one name may begin with another.
	for _, name := range slices.SortedFunc(maps.Keys(t.names), func(a, b string) int { return len(b) - len(a) }) {
		text = strings.ReplaceAll(text, name, t.names[name])
		text = strings.ReplaceAll(text, strings.TrimPrefix(name, "http://"), t.names[name])
	}
	text = tidyAddress.ReplaceAllString(text, "127.0.0.1:PORT")
	text = tidyTime.ReplaceAllString(text, "TIME")
	text = tidyStamp.ReplaceAllString(text, "YYYY-MM-DD hh:mm:ss")
	text = tidyJob.ReplaceAllStringFunc(text, t.number("JOB"))
	text = tidyReference.ReplaceAllStringFunc(text, t.number("REF"))
	return tidyLength.ReplaceAllStringFunc(text, func(s string) string { return fmt.Sprintf("%*s", len(s), "TIME") })
}

// number gives what it meets numbers.
func (t *tidier) number(kind string) func(string) string {
	return func(s string) string {
		if t.given[s] == "" {
			t.given[s] = fmt.Sprintf("%s-%0*d", kind, len(s)-len(kind)-1, len(t.given)+1)
		}
		return t.given[s]
	}
}

func TestTidy(t *testing.T) {
	in := `KXRD-7M2P at http://127.0.0.1:4001/x and 127.0.0.1:4001, 127.0.0.1:9
  2026-01-02 03:04:05  {"at": "2026-01-02T03:04:05.123Z"} /tmp/w/reset.db
  AZqkXb8yQ1uJt3mVfP0cLw  KXRD-7M2P       12s     1h5m       now
  AZqkXb8yQ1uJt3mVfP0cLx  AAAA-7M2P        2m  the last 30s`
	want := `REF-00003 at APP/x and APP, 127.0.0.1:PORT
  YYYY-MM-DD hh:mm:ss  {"at": "TIME"} WORK/reset.db
  JOB-000000000000000001  REF-00003      TIME     TIME      TIME
  JOB-000000000000000002  REF-00004      TIME  the last 30s`
	if got := newTidier(map[string]string{"/tmp/w": "WORK", "http://127.0.0.1:4001": "APP"}).tidy(in); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
