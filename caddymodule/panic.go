package caddymodule

import (
	"fmt"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
)

// survive keeps a panic in a goroutine of ours from ending all of Caddy. It
// logs no value of the panic, which may be anything.
func (a *App) survive(doing string) {
	if e := recover(); e != nil {
		a.log.Error("panic while "+doing, "error", fmt.Sprintf("%T", e), "stack", string(debug.Stack()), "alarm", true)
	}
}

// asError, deferred, makes a panic while a configuration is loaded an error of
// that configuration: only then does Caddy take back what it has loaded of it,
// and tell the operator more than that the connection broke.
func asError(ctx caddy.Context, err *error) {
	if e := recover(); e != nil {
		ctx.Slogger().Error("panic while loading the configuration", "error", fmt.Sprintf("%T", e), "stack", string(debug.Stack()))
		*err = fmt.Errorf("panic (%T); the log says where", e)
	}
}
