package passwords

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContextWords(t *testing.T) {
	got := contextWords([]string{"Al", "alice77.b@mail.example.org", "Al de Smith"})
	want := []string{
		"alice77.b@mail.example.org", "mail.example.org", "mailexampleorg", "al de smith", "aldesmith",
		"alice77.b", "alice77b", "alice77", "example", "alice", "smith", "mail", "org",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "name%d ", i)
	}
	if got := contextWords([]string{many.String()}); len(got) != mostWords {
		t.Errorf("%d words", len(got))
	}
}

func TestWithout(t *testing.T) {
	for _, c := range []struct {
		s, rest string
		found   bool
	}{
		{"qvmt", "qvmt", false},
		{"alex-alex", "-", true},
		// What is left must not come together to be another word.
		{"alrobertex", "alex", true},
	} {
		if rest, found := without(c.s, []string{"robert", "alex"}); rest != c.rest || found != c.found {
			t.Errorf("without(%q) = %q, %v", c.s, rest, found)
		}
	}
}
