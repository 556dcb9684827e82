package main

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// A state says what became of what a row is about. Only passed is good news,
// and only skipped is no news.
type state string

const (
	passed     state = "passed"
	violated   state = "violated"
	skipped    state = "skipped"
	unfinished state = "unfinished" // cut off, died, or not begun
)

// A row is one line of the campaign's table.
type row struct {
	trial.Row
	Phase   string  `json:"phase"`
	State   state   `json:"state"`
	Package string  `json:"package"`
	Test    string  `json:"test,omitempty"`
	Note    string  `json:"note,omitempty"`
	Replay  string  `json:"replay,omitempty"`
	Output  string  `json:"output,omitempty"`
	Seconds float64 `json:"seconds"`
}

// failed reports whether a row is bad news.
func failed(r row) bool { return r.State == violated || r.State == unfinished }

// A testName names a test with its package.
type testName struct{ pack, test string }

// short names a test as rows and -run do.
func (n testName) short() string { return shortPath(n.pack) + "." + n.test }

// replay is the command that tries again what a row is about.
func replay(r row) string {
	if r.Test == "" {
		return "go test " + packageArgument(r.Package)
	}
	var parts []string
	for part := range strings.SplitSeq(r.Test, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	seed := ""
	if r.Seed != 0 {
		seed = fmt.Sprintf("CAMPAIGN_SEED=%d ", r.Seed)
	}
	return fmt.Sprintf("CAMPAIGN=night %sgo test -count=1 -timeout 0 -run '%s' %s", seed, strings.Join(parts, "/"), packageArgument(r.Package))
}

const module = "github.com/caddy-password-reset/caddy-password-reset"

func shortPath(p string) string {
	if p == module {
		return path.Base(p)
	}
	return strings.TrimPrefix(p, module+"/")
}

func packageArgument(p string) string { return "." + strings.TrimPrefix(p, module) }

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond)
}
