package command

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// stepWords say what each step means to whoever has a person on the telephone.
var stepWords = map[reset.Step]string{
	reset.StepAsked:      "somebody asked for a reset",
	reset.StepUnknown:    "no mail",
	reset.StepLimited:    "no mail",
	reset.StepMailed:     "the mail server took the mail",
	reset.StepRejected:   "the mail server refused the mail for good: is the address right?",
	reset.StepExpired:    "no mail: it could not be sent within its time",
	reset.StepOpened:     "the page for the new password was opened",
	reset.StepAccepted:   "a new password was given",
	reset.StepChanged:    "the app has the new password",
	reset.StepPending:    "the app did not take it yet; it is tried again",
	reset.StepRefused:    "the app does not want this password; the link works on",
	reset.StepGone:       "the app says that the account is gone",
	reset.StepSuperseded: "the app has a newer password",
	reset.StepFailed:     "the app did not take it in time; the old password stands",
	reset.StepReplaced:   "a newer password took its place",
	reset.StepCancelled:  "somebody said that it was not them",
	reset.StepRevoked:    "ended",
}

func traceCommand() *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use:   "trace LOGIN",
		Short: "Tells what became of the latest requests for a login",
		Long: `
Tells what became of the latest requests for a login, the newest first: whether
there was an account, what the mail server said, whether the link was opened,
and whether the app has the new password. It shows no link, code or address.

What is told is kept for a day, and for a login without an account two hours.
A page that was opened, but not used, is forgotten when Caddy restarts; a
program that checks mails may have been the one who opened it.`,
		Example: `  caddy password-reset trace alice@example.com
  caddy password-reset trace alice --site app.example.com --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var t adminapi.Trace
			if _, err := f.ask(cmd.Context(), "trace", args[0], &t); err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), t)
			}
			printTrace(newPrinter(cmd.OutOrStdout()), t)
			return nil
		},
	}
	return f.onLogin(cmd)
}

func printTrace(p *printer, t adminapi.Trace) {
	if len(t.Requests) == 0 {
		p.printf("Nothing is known of this login at %s within the last day (two hours, if it has no account).\n", t.Site)
		return
	}
	for n, r := range t.Requests {
		if n > 0 {
			p.printf("\n")
		}
		p.printf("%s\n", p.bold(r.Reference))
		for _, s := range r.Steps {
			line := stepWords[reset.Step(s.Step)]
			if s.Detail != "" {
				line += " (" + s.Detail + ")"
			}
			p.printf("  %s  %s  %s\n", stamp(s.At), p.step(s.Step), line)
		}
		for _, j := range r.Waiting {
			p.printf("  %-19s  %s  %s\n", when(j), p.warn(fmt.Sprintf("%-10s", "waiting")), next(j))
		}
		if r.OpenUntil != nil {
			p.printf("  %s  until then  the link works\n", stamp(*r.OpenUntil))
		}
	}
}

// when says when a job is tried.
func when(j adminapi.Job) string {
	if j.Trying {
		return "right now"
	}
	return stamp(j.Due)
}

// next says what a job waits for.
func next(j adminapi.Job) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, ", map[string]string{"mail": "the mail", "change": "the new password", "notice": "a mail about the outcome"}[j.Kind])
	switch {
	case j.Trying:
		fmt.Fprintf(&b, "attempt %d is under way", j.Attempts)
	case j.Attempts == 0:
		b.WriteString("not tried yet")
	default:
		fmt.Fprintf(&b, "tried %s", several(j.Attempts, "time"))
	}
	if j.Cause != "" {
		fmt.Fprintf(&b, "; the last time: %s", j.Cause)
	}
	return b.String()
}

// stamp is a time as people at a help desk read it, in the time zone of their
// machine.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
