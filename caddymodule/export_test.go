package caddymodule

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Open is what a request does to reach its site.
var Open = (*App).open

// Export and Restore are what commands and the admin API do with the store.
var Export = (*App).export

func Restore(a *App, ctx context.Context, from io.Reader) error {
	_, err := a.restore(ctx, from)
	return err
}

// SetPatience sets how long a restore waits for others to let go of the store.
func SetPatience(a *App, d time.Duration) { a.patience = d }

// FillDialect sets the options of a dialect from JSON.
var FillDialect = fill

// ReadDialect reads the block of a dialect and returns what is written there,
// and where.
func ReadDialect(d web.Dialect, block *caddyfile.Dispenser) (written map[string]any, lines map[string]int, err error) {
	written, lines = make(map[string]any), make(map[string]int)
	places := make(map[string]*caddyfile.Dispenser)
	block.Next()
	err = fieldsOf(d).options(written, places).parse(block)
	for option, place := range places {
		lines[option] = place.Line()
	}
	return written, lines, err
}

// Forget has the next scrape count what waits anew.
func (a *App) Forget() {
	a.inventory.mu.Lock()
	defer a.inventory.mu.Unlock()
	a.inventory.at = time.Time{}
}

// A Horizon is what a check sees beyond the configuration. What is not set stays as
// it is.
type Horizon struct {
	DNS      *net.Resolver
	Roots    *x509.CertPool
	PartTime time.Duration
	Rows     int
}

// SeeAs has the checks of an app see as that says.
func (a *App) SeeAs(h Horizon) {
	a.horizon.dns, a.horizon.roots = h.DNS, h.Roots
	if h.PartTime > 0 {
		a.horizon.partTime = h.PartTime
	}
	if h.Rows > 0 {
		a.horizon.rows = h.Rows
	}
}

// CheckAlone checks a configuration that no Caddy runs. inUse is the key of the
// store that another Caddy says it has open.
func CheckAlone(ctx context.Context, config []byte, inUse, to string, h Horizon) (shown []adminapi.Finding, err error) {
	about, err := provision(config)
	if err != nil {
		return nil, err
	}
	about.inUse = inUse
	about.app.SeeAs(h)
	c := &checkup{seated: about, to: to, tell: func(f adminapi.Finding) { shown = append(shown, f) }}
	c.run(ctx, "")
	return shown, nil
}

// CheckRunning checks what Caddy runs in this process.
func CheckRunning(ctx context.Context, to, selector string, h Horizon) (shown []adminapi.Finding, err error) {
	about, err := whatRuns()
	if err != nil {
		return nil, err
	}
	about.app.SeeAs(h)
	c := &checkup{seated: about, to: to, selector: selector, tell: func(f adminapi.Finding) { shown = append(shown, f) }}
	c.run(ctx, "")
	return shown, nil
}
