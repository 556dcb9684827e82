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
	if (kvtest.Indexer{}).Index("login", "a") != (kvtest.Indexer{}).Index("login", "a") {
		t.Error("the same parts have two indexes")
	}
	if (kvtest.Indexer{}).Index("login", "a") == (kvtest.Indexer{}).Index("email", "a") {
		t.Error("two labels have the same index")
	}
}
