package kvtest_test

import (
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
)

func TestIndexer(t *testing.T) {
	seen := map[[32]byte][]string{}
	for _, parts := range [][]string{{"ab"}, {"a", "b"}, {"a", "b", ""}, {"", "ab"}, {"ab", ""}, {}} {
		index := kvtest.Indexer{}.Index("login", parts...)
		if other, ok := seen[index]; ok {
			t.Errorf("%q and %q have the same index", other, parts)
		}
		seen[index] = parts
	}
	one := kvtest.Indexer{}.Index("login", "a")
	if again := (kvtest.Indexer{}).Index("login", "a"); again != one {
		t.Error("the same parts have two indexes")
	}
	if other := (kvtest.Indexer{}).Index("email", "a"); other == one {
		t.Error("two labels have the same index")
	}
}
