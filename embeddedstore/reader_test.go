package embeddedstore_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A reader that takes its time, such as a dump, keeps what it sees as it was.
// Writers go on beside it until the mapping has to grow, which waits for it.
// Pages that it may still need are not used again before its end; afterwards
// they are, so that the file does not grow for good.
func TestLongRead(t *testing.T) {
	const rows, rounds = 20, 50
	path := newPath(t)
	s := open(t, path)
	rewrite := func(value string) {
		for i := range rows {
			if err := put(s, key(i), strings.Repeat(value, 2000)); err != nil {
				t.Error(err)
			}
		}
	}
	rewrite("a")
	reading, end := make(chan struct{}), make(chan struct{})
	var reader, writer sync.WaitGroup
	reader.Go(func() {
		err := s.View(t.Context(), func(r kv.Reader) error {
			close(reading)
			<-end
			for i := range rows {
				if v, err := r.Get([]byte(key(i))); err != nil || v[0] != 'a' {
					t.Errorf("the snapshot of row %d has changed: %v", i, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-reading
	before := s.Commits()
	writer.Go(func() {
		for range rounds {
			rewrite("b")
		}
	})
	waitFor(t, func() bool { return s.Commits() > before })
	close(end)
	reader.Wait()
	writer.Wait()
	grown := size(t, path)
	for range rounds {
		rewrite("c")
	}
	if again := size(t, path); again > grown+grown/2 {
		t.Errorf("the file had %d bytes after the long read, and grew to %d", grown, again)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
