package reset

import (
	"context"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A Backlog is what waits in one queue.
type Backlog struct {
	Site    string
	Kind    string // mail, change or notice
	Waiting int
	Oldest  time.Time // when the oldest of them was queued; zero if none waits
}

// Backlog tells what waits, a row for each queue of each site, in the order of
// their names. It reads every job that waits: some milliseconds for a thousand.
func (s *Service) Backlog(ctx context.Context) ([]Backlog, error) {
	release, err := s.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	var all []Backlog
	for _, site := range s.ordered() {
		for _, k := range jobKinds {
			b, err := site.backlog(ctx, k)
			if err != nil {
				return nil, err
			}
			all = append(all, b)
		}
	}
	return all, nil
}

func (s *Site) backlog(ctx context.Context, k jobKind) (Backlog, error) {
	b := Backlog{Site: s.config.ID, Kind: k.String()}
	err := s.eachRow(ctx, k, func(row kv.Pair) bool {
		b.Waiting++
		if at := jobOf(row.Key).made(); b.Oldest.IsZero() || at.Before(b.Oldest) {
			b.Oldest = at
		}
		return true
	})
	return b, err
}
