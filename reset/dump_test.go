package reset_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

var client = netip.MustParseAddr("192.0.2.7")

// dump returns all rows of the store as text.
func (w *world) dump() string {
	w.t.Helper()
	var b strings.Builder
	w.retry("dumping", func() error {
		b.Reset()
		return w.store.View(context.Background(), func(r kv.Reader) error {
			rows, err := r.Scan(nil, nil, 1<<20)
			for _, p := range rows {
				fmt.Fprintf(&b, "%x %s\n", p.Key, p.Value)
			}
			return err
		})
	})
	return b.String()
}
