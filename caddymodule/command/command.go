// Package command is `caddy password-reset …`: what an operator does by hand. Each
// command asks the Caddy that runs through its admin endpoint, and where none does
// answers itself from the store of the configuration.
package command

import (
	"os"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "password-reset",
		Short: "Tries out and looks after password resets",
		Long: `
Password resets are configured in the Caddyfile, with the global option and
the directive ` + "`password_reset`" + `. The commands below are for what is done by
hand. They ask the Caddy that runs, through its admin endpoint, and work on the
store itself where none does.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Use = "password-reset" // without the blank that stands before an empty usage
			cmd.Example = `  caddy password-reset trace alice@example.com
  caddy password-reset jobs`
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.AddCommand(
				checkCommand(), traceCommand(), sendCommand(), revokeCommand(), jobsCommand(),
				exportCommand(), restoreCommand(),
				demoCommand(),
			)
		},
	})
}

func demoCommand() *cobra.Command {
	var drive bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Shows password resets at work, on this machine only",
		Long: `
Runs a small sample app, an inbox for its mail, and Caddy in front of it with
the example Caddyfile, all on free ports of this machine. Nothing leaves it, and
nothing is kept when the demo ends.

With --drive it walks the whole way by itself, as people with a browser and a
mailbox would, prints a line for each step, and exits with 0 only if each of
them held.`,
		Example: `  caddy password-reset demo
  caddy password-reset demo --drive`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runDemo(ctx, cmd.OutOrStdout(), drive)
		},
	}
	cmd.Flags().BoolVar(&drive, "drive", false, "walk the whole way, then exit")
	return cmd
}
