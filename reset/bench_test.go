package reset_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A scratchStore is a kv.Store that is not ordered and keeps nothing on disk, so
// that a benchmark measures what uses it.
type scratchStore struct {
	mu   sync.Mutex
	rows map[string][]byte
}

func (s *scratchStore) read(key []byte) ([]byte, error) { return s.rows[string(key)], nil }

func (s *scratchStore) View(_ context.Context, fn func(kv.Reader) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fn(scratchReader{s})
}

func (s *scratchStore) Update(_ context.Context, fn func(kv.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := kv.NewOverlay(s.read)
	if err := o.Run(fn); err != nil {
		return err
	}
	for key, value := range o.Writes() {
		if value == nil {
			delete(s.rows, string(key))
		} else {
			s.rows[string(key)] = value
		}
	}
	return nil
}

func (*scratchStore) Close() error { return nil }

type scratchReader struct{ store *scratchStore }

func (r scratchReader) Get(key []byte) ([]byte, error) { return r.store.read(key) }

func (scratchReader) Scan(_, _ []byte, _ int) ([]kv.Pair, error) { return nil, nil }

// untended returns a site that nobody works for.
func untended(b *testing.B) *reset.Site {
	svc, err := reset.New(reset.Config{
		Store: &scratchStore{rows: make(map[string][]byte)}, Indexer: kvtest.Indexer{}, Exclusive: true,
		Sites: []reset.SiteConfig{{
			ID: "app.example.com", Directory: &directory{}, Target: &app{}, Composer: composer{}, Mailer: &relay{},
			Passwords: policy{}, Links: links{},
		}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	return svc.Site("app.example.com")
}

// BenchmarkRequest accepts requests for a mail: all that is done before the
// answer but for HTTP and the disk.
func BenchmarkRequest(b *testing.B) {
	const queue = 50_000 // as its queue is bounded, a site takes no more
	var site *reset.Site
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%queue == 0 {
			b.StopTimer()
			site = untended(b)
			b.StartTimer()
		}
		if _, err := site.Request(b.Context(), reset.Request{Login: "alice@example.com"}); err != nil {
			b.Fatal(err)
		}
	}
}
