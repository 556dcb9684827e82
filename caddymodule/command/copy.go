package command

import (
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

func exportCommand() *cobra.Command {
	var f seatFlags
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Writes a copy of the store, also while Caddy runs",
		Long: `
Writes a copy of the store as it is at one moment, while requests and mails go
on. The copy is checked before its first byte is written, and is sealed as the
store is: it is worth nothing without the key, which is not in it. Keep the key
elsewhere. FILE must not exist; - is the standard output.`,
		Example: `  caddy password-reset export reset-$(date +%F).db
  caddy password-reset export - | ssh backup 'cat > reset.db'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); err == nil && args[0] != "-" {
				return errFileExists(args[0]) // before a copy is made for nothing
			}
			// Ctrl-C leaves no half of a copy behind.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			s, err := f.open(ctx)
			if err != nil {
				return err
			}
			shown := newProgress(cmd.ErrOrStderr(), "copying")
			shown.say("making and checking a copy")
			answer, err := s.do(ctx, http.MethodGet, "export", nil)
			if err != nil {
				shown.end()
				return err
			}
			defer answer.Body.Close()
			shown.total = answer.ContentLength
			n, err := writeCopy(cmd.OutOrStdout(), args[0], shown.read(answer.Body))
			shown.end()
			if err != nil {
				return err
			}
			if args[0] != "-" {
				newPrinter(cmd.OutOrStdout()).printf("%s, %s\n", args[0], size(n))
			}
			return nil
		},
	}
	f.add(cmd)
	takes(cmd, nil)
	return cmd
}

func restoreCommand() *cobra.Command {
	var f seatFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Puts a copy in the place of the store, also while Caddy runs",
		Long: `
Puts a copy in the place of the store. The copy is checked first, with the key
too; a wrong one changes nothing. While it is put in place, password reset
answers 503 for a moment, and everything else is served. The previous store is
kept beside it, and the command says where.

What happened since the copy was made is unknown to it: all links and codes in it
are void, and people whose new password the app did not have yet are told to ask
again. FILE may be - for the standard input.`,
		Example: `  caddy password-reset restore reset-2026-11-22.db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in io.Reader = cmd.InOrStdin()
			shown := newProgress(cmd.ErrOrStderr(), "reading")
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close()
				if info, err := file.Stat(); err == nil {
					shown.total = info.Size()
				}
				in = file
			}
			s, err := f.openToRestore(cmd.Context())
			if err != nil {
				return err
			}
			var done adminapi.Restoration
			err = s.send(cmd.Context(), http.MethodPost, "restore", shown.read(in), &done)
			shown.end()
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			p.printf("restored; all earlier links and codes are void\n")
			if done.Kept != "" {
				p.printf("the previous store is kept: %s\n", done.Kept)
			}
			return nil
		},
	}
	f.add(cmd)
	takes(cmd, nil)
	return cmd
}
