package passwords

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestCommonPasswords(t *testing.T) {
	words, err := commonPasswords()
	if err != nil {
		t.Fatal(err)
	}
	if len(words) < 10_000 {
		t.Errorf("%d common passwords, want 10,000", len(words))
	}
	// One of each list, so that none of them can go missing unseen.
	for _, w := range []string{"password", "trustno1", "congratulations", "michael", "jennifer", "rodriguez"} {
		if !words.has(w) {
			t.Errorf("%q is missing", w)
		}
	}
}

func TestLoadBlocklist(t *testing.T) {
	for name, c := range map[string]struct {
		in      string
		want    []string
		wantErr string
	}{
		"empty":         {in: ""},
		"words":         {in: "\ufeff# our products\r\nZephyrion\r\n\r\n  two words \n#\n\tümlaut", want: []string{"Zephyrion", "two words", "ümlaut"}},
		"not utf-8":     {in: "a\n\xff\n", wantErr: "line 2 is not UTF-8"},
		"control":       {in: "a\n\nb\x00c\n", wantErr: "line 3 holds a control character"},
		"long line":     {in: "a\n" + strings.Repeat("b", 5000), wantErr: "line 2 is longer than 4096 bytes"},
		"too large":     {in: strings.Repeat("some words here\n", 1<<20) + "x", wantErr: "larger than 16 MiB"},
		"cut in two":    {in: strings.Repeat("aüb\n", 1<<22), wantErr: "larger than 16 MiB"},
		"many comments": {in: strings.Repeat("#\n", 1000) + "x", want: []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := LoadBlocklist(strings.NewReader(c.in))
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("got %v, want an error with %q", err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadBlocklistReadError(t *testing.T) {
	cause := errors.New("disk gone")
	if _, err := LoadBlocklist(iotest.ErrReader(cause)); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkLoadCommonPasswords(b *testing.B) {
	for b.Loop() {
		if _, err := readLists(); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleLoadBlocklist() {
	words, err := LoadBlocklist(strings.NewReader("# products\nZephyrion\n"))
	fmt.Println(words, err)
	// Output: [Zephyrion] <nil>
}
