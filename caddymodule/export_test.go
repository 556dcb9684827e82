package caddymodule

import (
	"context"
	"io"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// Open is what a request does to reach its site.
var Open = (*App).open

// Export and Restore are what commands and the admin API do with the store.
var Export = (*App).export

func Restore(a *App, ctx context.Context, from io.Reader, progress func(done, total int64)) error {
	_, err := a.restore(ctx, from, progress)
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
func (a *App) Forget() { a.backlog.forget() }
