package command

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

// completionTime is how long the tabulator key may take.
const completionTime = time.Second

// runningSeat takes a seat at the Caddy that runs, nil if none answers at once: an
// error in the middle of a line helps nobody, and no key opens a store.
func (f *seatFlags) runningSeat(ctx context.Context) *seat {
	v, err := f.venue()
	if err != nil {
		return nil
	}
	s, _ := v.running(ctx) // nil with an error
	return s
}

// completeJob offers the jobs that wait.
func (f *seatFlags) completeJob(cmd *cobra.Command, args []string, _ string) (offers []cobra.Completion, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	var all adminapi.Jobs
	if s := f.runningSeat(ctx); len(args) == 0 && s != nil && s.call(ctx, http.MethodGet, "jobs", nil, &all) == nil {
		for _, j := range all.Jobs {
			if isPlainWord(j.ID) {
				offers = append(offers, cobra.CompletionWithDesc(j.ID, j.Kind+" "+j.Reference))
			}
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeSite offers the sites.
func (f *seatFlags) completeSite(cmd *cobra.Command, _ []string, _ string) (offers []cobra.Completion, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	var status adminapi.Status
	if s := f.runningSeat(ctx); s != nil && s.call(ctx, http.MethodGet, "status", nil, &status) == nil {
		for _, id := range status.Sites {
			if isPlainWord(id) {
				offers = append(offers, id)
			}
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// isPlainWord reports whether a shell takes a word as it is. What a stranger at the
// address offers ends up in the line that the operator runs next.
func isPlainWord(word string) bool {
	return word != "" && word[0] != '-' && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/") == ""
}

// takes gives a command its one argument, and says how a shell completes it; nil is
// by files.
func takes(cmd *cobra.Command, complete cobra.CompletionFunc) {
	cmd.ValidArgsFunction = complete
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("write: %s %s", cmd.Parent().CommandPath(), cmd.Use)
	}
}
