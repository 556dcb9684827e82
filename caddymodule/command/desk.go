package command

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

// deskFlags are the flags of the commands about one login.
type deskFlags struct {
	seatFlags
	site string
	json bool
}

func (f *deskFlags) add(cmd *cobra.Command) {
	f.seatFlags.add(cmd)
	cmd.Flags().StringVar(&f.site, "site", "", "`id` of the site, if there are several")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON, as the admin endpoint answers")
	_ = cmd.RegisterFlagCompletionFunc("site", f.completeSite) // fails if there is no such flag
}

// onLogin makes it a command about one login.
func (f *deskFlags) onLogin(cmd *cobra.Command) *cobra.Command {
	f.add(cmd)
	takes(cmd, cobra.NoFileCompletions)
	return cmd
}

// ask takes a seat and sends a login there.
func (f *deskFlags) ask(ctx context.Context, path, login string, result any) (*seat, error) {
	s, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	return s, s.call(ctx, http.MethodPost, path, adminapi.Subject{Site: f.site, Login: login}, result)
}

func sendCommand() *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use:   "send LOGIN",
		Short: "Mails link and code to the account of a login, past all limits",
		Long: `
Mails link and code to the account of a login, past all limits, as if its owner
had asked. They go to the address that the directory has, and are not shown.
Who is on the telephone may not be the owner: this helps nobody else.`,
		Example: `  caddy password-reset send alice@example.com
  caddy password-reset trace alice@example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var done adminapi.Sending
			s, err := f.ask(cmd.Context(), "send", args[0], &done)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), done)
			}
			p := newPrinter(cmd.OutOrStdout())
			when := "It leaves within seconds"
			if !s.running {
				when = "It leaves when Caddy runs"
			}
			p.printf("%s  queued. %s, if there is an account; see: caddy password-reset trace LOGIN\n", p.bold(done.Reference), when)
			return nil
		},
	}
	return f.onLogin(cmd)
}

func revokeCommand() *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use:   "revoke LOGIN",
		Short: "Ends all links, codes and pending changes of a login",
		Long: `
Ends all that was asked for with a login, and all that the accounts of that
login hold: mails that wait are not sent, links and codes open nothing, and a
new password that the app does not have yet is dropped; its owner is told by
mail that the old one stands. What is on its way to the app at this moment may
still arrive there.

Codes that are off because too many were guessed are on again with the next
mail.`,
		Example: `  caddy password-reset revoke alice@example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var done adminapi.Revocation
			if _, err := f.ask(cmd.Context(), "revoke", args[0], &done); err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), done)
			}
			p := newPrinter(cmd.OutOrStdout())
			p.printf("ended: %s, %s, %s\n", several(done.Mails, "waiting mail"), several(done.Links, "link"), several(done.Changes, "pending change"))
			if done.Warning != "" {
				p.printf("%s\n", p.warn(done.Warning))
			}
			return nil
		},
	}
	return f.onLogin(cmd)
}
