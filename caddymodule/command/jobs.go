package command

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

func jobsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Shows and steers what waits: mails, changes, notices",
		Long: `
A job is durable work with a deadline: a mail that waits for the directory or
the mail server, a new password that waits for the app, a notice of what became
of one. Without a command, jobs lists them.`,
		Example: `  caddy password-reset jobs
  caddy password-reset jobs retry AZqkXb8yQ1uJt3mVfP0cLw`,
		Args: cobra.NoArgs,
	}
	list := jobsListCommand()
	cmd.RunE = list.RunE
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.AddCommand(list, jobShowCommand(), jobRetryCommand(), jobDropCommand())
	return cmd
}

func jobsListCommand() *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the jobs that wait",
		Long: `
Lists the jobs that wait, in the order in which they come due, with why their
last attempt came to nothing; of each kind at most 1000 of each site.`,
		Example: `  caddy password-reset jobs list
  caddy password-reset jobs list --site app.example.com --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			path := "jobs"
			if f.site != "" {
				path += "?" + url.Values{"site": {f.site}}.Encode()
			}
			var all adminapi.Jobs
			if err := s.call(cmd.Context(), http.MethodGet, path, nil, &all); err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), all)
			}
			printJobs(newPrinter(cmd.OutOrStdout()), all.Jobs, time.Now())
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func printJobs(p *printer, jobs []adminapi.Job, now time.Time) {
	if len(jobs) == 0 {
		p.printf("nothing waits\n")
		return
	}
	// The site stands there only where it tells something.
	width := 0
	for _, j := range jobs {
		if j.Site != jobs[0].Site {
			width = max(width, len(j.Site), len(jobs[0].Site), len("SITE"))
		}
	}
	site := func(name string) string {
		if width == 0 {
			return ""
		}
		return fmt.Sprintf("%-*s  ", width, name)
	}
	p.printf("%-22s  %s%-6s  %-9s  %8s  %8s  %8s  %s\n", "JOB", site("SITE"), "KIND", "REFERENCE", "WAITS", "ATTEMPTS", "NEXT", "LAST OUTCOME")
	for _, j := range jobs {
		due := lasting(j.Due.Sub(now))
		if j.Trying {
			due = "running"
		}
		line := fmt.Sprintf("%-22s  %s%-6s  %-9s  %8s  %8d  %8s  %s", j.ID, site(j.Site), j.Kind, j.Reference, lasting(now.Sub(j.Queued)), j.Attempts, due, j.Cause)
		p.printf("%s\n", strings.TrimRight(line, " "))
	}
}

// lasting is a length of time, in the two units that matter.
func lasting(d time.Duration) string {
	switch {
	case d <= 0:
		return "now"
	case d < time.Minute:
		return d.Round(time.Second).String()
	default:
		text := d.Round(time.Minute).String()
		return text[:len(text)-len("0s")]
	}
}

// jobPath is where a job is found. What is no id is not sent: ".." would lead to
// something else.
func jobPath(id string) (string, error) {
	if !isPlainWord(id) || strings.ContainsAny(id, ".:/") {
		return "", adminapi.ErrNoJob
	}
	return "jobs/" + id, nil
}

func jobShowCommand() *cobra.Command {
	var f deskFlags
	cmd := &cobra.Command{
		Use:     "show JOB",
		Short:   "Shows one job",
		Long:    "\nShows one job: when it was queued, when it is tried next, until when, and why\nits last attempt came to nothing.",
		Example: `  caddy password-reset jobs show AZqkXb8yQ1uJt3mVfP0cLw`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := jobPath(args[0])
			if err != nil {
				return err
			}
			s, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			var j adminapi.Job
			if err := s.call(cmd.Context(), http.MethodGet, path, nil, &j); err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), j)
			}
			p := newPrinter(cmd.OutOrStdout())
			p.printf("%s  %s  %s\n", p.bold(j.ID), j.Kind, j.Reference)
			p.printf("  site      %s\n  queued    %s\n  next      %s\n  deadline  %s\n  %s\n", j.Site, stamp(j.Queued), when(j), stamp(j.Deadline), next(j))
			return nil
		},
	}
	f.add(cmd)
	takes(cmd, f.completeJob)
	return cmd
}

// steer is a command that does something to one job, and what it prints where Caddy
// runs and where it does not.
func steer(cmd *cobra.Command, method, suffix, done, stopped string) *cobra.Command {
	var f seatFlags
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := jobPath(args[0])
		if err != nil {
			return err
		}
		s, err := f.open(cmd.Context())
		if err != nil {
			return err
		}
		if err := s.call(cmd.Context(), method, path+suffix, nil, nil); err != nil {
			return err
		}
		if !s.running {
			done = stopped
		}
		newPrinter(cmd.OutOrStdout()).printf("%s\n", done)
		return nil
	}
	f.add(cmd)
	takes(cmd, f.completeJob)
	return cmd
}

func jobRetryCommand() *cobra.Command {
	return steer(&cobra.Command{
		Use:     "retry JOB",
		Short:   "Tries a job now",
		Long:    "\nMakes a job due now, as when the mail server or the app is back: by itself it is\ntried again after minutes or, a change, after hours.",
		Example: `  caddy password-reset jobs retry AZqkXb8yQ1uJt3mVfP0cLw`,
	}, http.MethodPost, "/retry", "it is tried now", "it is tried when Caddy runs")
}

func jobDropCommand() *cobra.Command {
	return steer(&cobra.Command{
		Use:   "drop JOB",
		Short: "Ends a job without another attempt",
		Long: `
Ends a job without another attempt. A mail is not sent. A new password is not
handed to the app: its link ends, and its owner is told by mail that the old
password stands.`,
		Example: `  caddy password-reset jobs drop AZqkXb8yQ1uJt3mVfP0cLw`,
	}, http.MethodDelete, "", "dropped", "dropped")
}
