package reset

import (
	"context"
	"maps"
	"slices"
	"strings"
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

// backlogPage is how many jobs are read into memory at once.
const backlogPage = 500

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

// ordered returns the sites in the order of their ids.
func (s *Service) ordered() []*Site {
	return slices.SortedFunc(maps.Values(s.sites), func(a, b *Site) int { return strings.Compare(a.config.ID, b.config.ID) })
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

// eachRow calls fn for the rows of a queue in the order in which they come due,
// until it returns false. All are of one moment: a job that is moved to an earlier
// time between two looks would be in neither of them.
func (s *Site) eachRow(ctx context.Context, k jobKind, fn func(kv.Pair) bool) error {
	from := s.queuePrefix(k)
	end := after(from)
	return s.svc.store.View(ctx, func(r kv.Reader) error {
		for {
			rows, err := r.Scan(from, end, backlogPage)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if !fn(row) {
					return nil
				}
			}
			if len(rows) < backlogPage {
				return nil
			}
			from = append(rows[len(rows)-1].Key, 0)
		}
	})
}
