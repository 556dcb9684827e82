package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

// checkFlags are the flags of check.
type checkFlags struct {
	seatFlags
	site, to, selector string
	json               bool
}

// Statuses of the process.
const (
	statusBroken    = 1
	statusUnchecked = 2
)

// A shownCheck is a whole check, for machines.
type shownCheck struct {
	OK       bool               `json:"ok"`
	Findings []adminapi.Finding `json:"findings"`
}

func checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tries each part of the way of a reset, and says what to change",
		Long: `
Walks the configured way and prints a line for each step: whether key and store
can be used; whether the mail server takes a connection, a login and the sender,
and how long its certificate lasts; what the sender's domain publishes; whether
the app's hooks answer, take our signature and refuse another; whether base_url
leads to our page; whether proxies before Caddy are known.

Without --config it has the Caddy that runs check what it runs. With --config,
or where none runs, it checks that configuration, also before the first start.
Nothing is changed, and no mail is sent without --to.

It ends with status 0 if a reset can work, and 1 if something is broken; advice
does not count. Status 2: there was nothing to check, or it was cut off.`,
		Example: `  caddy password-reset check
  caddy password-reset check --config /etc/caddy/Caddyfile --to you@example.com
  caddy password-reset check --json`,
		Args: func(cmd *cobra.Command, args []string) error { return unchecked(cmd, cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.SetFlagErrorFunc(unchecked)
	f.add(cmd)
	cmd.Flags().StringVar(&f.site, "site", "", "check only the site with this `id`")
	_ = cmd.RegisterFlagCompletionFunc("site", f.completeSite) // fails if there is no such flag
	cmd.Flags().StringVar(&f.to, "to", "", "send a test mail to this `address`")
	cmd.Flags().StringVar(&f.selector, "dkim-selector", "", "`selector` of the key that the mail server signs with (DKIM)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

func (f *checkFlags) run(cmd *cobra.Command) error {
	all := shownCheck{OK: true, Findings: []adminapi.Finding{}}
	p := newPrinter(cmd.OutOrStdout())
	told := ""
	tell := func(n adminapi.Finding) {
		all.OK = all.OK && !n.Broken
		all.Findings = append(all.Findings, n)
		if !f.json {
			if n.Site != told {
				p.printf("\n%s\n", p.bold(n.Site))
				told = n.Site
			}
			printFinding(p, n)
		}
	}
	s, err := f.sit(cmd.Context())
	if err == nil {
		err = f.ask(cmd.Context(), s, tell)
	}
	var faulty *faultyConfig
	if errors.As(err, &faulty) {
		tell(faulty.finding())
	} else if err != nil {
		return unchecked(cmd, err)
	}
	if f.json {
		if err := printJSON(cmd.OutOrStdout(), all); err != nil {
			return err
		}
	} else {
		printVerdict(p, all)
	}
	if !all.OK {
		return endWith(cmd, statusBroken)
	}
	return nil
}

// unchecked ends the process without a check, for an error that says why.
func unchecked(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	cmd.PrintErrln("Error:", err.Error())
	return endWith(cmd, statusUnchecked)
}

// endWith is an error that ends the process with a status and prints nothing.
// Cobra knows none but 1; the wrapper for commands of another kind is the way to
// tell Caddy.
func endWith(cmd *cobra.Command, status int) error {
	cmd.SilenceErrors = true
	if status == 1 {
		return errors.New("something is broken")
	}
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
}

// sit takes a seat at the Caddy that runs, unless a configuration is named.
func (f *checkFlags) sit(ctx context.Context) (*seat, error) {
	v, err := f.venue()
	if err != nil {
		return nil, f.faulty(err)
	}
	s, err := v.running(ctx)
	if f.config == "" && (s != nil || err != nil) {
		return s, err
	}
	alone, err := caddymodule.LoadAlone(v.config)
	if err != nil {
		return nil, &faultyConfig{err}
	}
	if s != nil {
		var status adminapi.Status
		if err := s.call(ctx, http.MethodGet, "status", nil, &status); err == nil && status.Store.Open {
			alone.InUse(status.Store.Key)
		}
	}
	return aloneSeat(alone, v), nil
}

// A faultyConfig says what is wrong with a configuration that was read.
type faultyConfig struct{ error }

// faulty is an error of reading the configuration, about what stands in it unless
// there was nothing to read.
func (f *checkFlags) faulty(err error) error {
	file := cmp.Or(f.config, "Caddyfile")
	if _, missing := os.Stat(file); file != "-" && missing != nil || errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &faultyConfig{err}
}

func (e *faultyConfig) finding() adminapi.Finding {
	f := adminapi.Finding{Part: adminapi.PartConfig, Step: "load", Problem: e.Error(), Cure: "correct it, and check again", Broken: true}
	switch {
	case errors.Is(e.error, caddymodule.ErrNoReset):
		f.Cure = "write the global block `password_reset` and one in the site of your app, as in Caddyfile.example"
	case strings.Contains(f.Problem, "{env."):
		f.Problem, _, _ = strings.Cut(f.Problem, ": set it in the environment")
		f.Cure = "if Caddy has it from a file of its unit, give it to the check as well: set -a; . FILE; set +a; otherwise set it in both"
	}
	return f
}

// ask reads the findings as they come.
func (f *checkFlags) ask(ctx context.Context, s *seat, tell func(adminapi.Finding)) error {
	body, err := json.Marshal(map[string]string{"site": f.site, "to": f.to, "dkim_selector": f.selector})
	if err != nil {
		return err
	}
	answer, err := s.do(ctx, http.MethodPost, "check", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for lines := json.NewDecoder(answer.Body); ; {
		var n adminapi.Finding
		err := nextPlain(lines, &n)
		if errors.Is(err, io.EOF) && ctx.Err() == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the check was cut off: %w", cmp.Or(ctx.Err(), s.about(err)))
		}
		tell(n)
	}
}

func printFinding(p *printer, n adminapi.Finding) {
	mark, text := p.good("ok  "), n.Seen
	switch {
	case n.Broken:
		mark, text = p.bad("FAIL"), n.Problem
	case n.Problem != "":
		mark, text = p.warn("note"), n.Problem
		if n.Seen != "" {
			text = n.Seen + "; " + n.Problem
		}
	}
	if text != "" {
		text = ": " + text
	}
	p.printf("  %s  %-16s %s%s\n", mark, n.Part, n.Step, text)
	if n.Cure != "" {
		p.printf("        %-16s → %s\n", "", n.Cure)
	}
}

func printVerdict(p *printer, all shownCheck) {
	broken, notes := 0, 0
	for _, n := range all.Findings {
		switch {
		case n.Broken:
			broken++
		case n.Problem != "":
			notes++
		}
	}
	p.printf("\n%d steps: %d broken, %s\n", len(all.Findings), broken, several(notes, "note"))
}
