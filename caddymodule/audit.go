package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// auditName, after the name of the app, is how an operator finds the audit log,
// to write it to a file of its own.
const auditName = "audit"

// An audit is the log of every change of state, one line each, whatever else is
// logged about it for people. No line is left out, in a flood either: one that is
// missing would be the one that is asked for.
type audit struct{ log *zap.Logger }

func newAudit(ctx caddy.Context) audit {
	return audit{ctx.Logger().Named(auditName).WithOptions(zap.WithCaller(false))}
}

// Steps of the store, which belong to no request and no site.
const (
	stepExported reset.Step = "exported" // a copy of it has begun to leave
	stepRestored reset.Step = "restored" // a copy is in its place
)

// step writes a line. Its fields are documented in docs/operators/watching.md.
func (a audit) step(e reset.Event) {
	fields := []zap.Field{
		zap.String("site", e.Site),
		zap.String("reference", e.Reference),
		zap.String("step", string(e.Step)),
		zap.String("at", e.At.UTC().Format(auditTime)),
	}
	if e.Detail != "" {
		fields = append(fields, zap.String("detail", e.Detail))
	}
	a.log.Info("step", fields...)
}

// auditTime is that of RFC 3339, in one length so that lines can be sorted.
const auditTime = "2006-01-02T15:04:05.000Z07:00"
