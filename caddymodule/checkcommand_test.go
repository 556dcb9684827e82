package caddymodule_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
)

// loadWithAdmin has Caddy run the way with an admin endpoint, and returns its
// address.
func (w *way) loadWithAdmin() (address string) {
	w.t.Helper()
	address = "unix/" + w.path("a.sock")
	w.t.Cleanup(func() { must(w.t, load("{\n admin off\n persist_config off\n}\n")) }) // caddy.Stop leaves the endpoint
	w.stop()
	must(w.t, load(strings.Replace(w.caddyfile(), "admin off", "admin "+address, 1)))
	app, err := caddy.ActiveContext().AppIfConfigured("password_reset")
	must(w.t, err)
	app.(*caddymodule.App).SeeAs(w.horizon)
	return address
}

// runCheck runs the command in this process, as Caddy would.
func runCheck(ctx context.Context, t *testing.T, out io.Writer, args ...string) error {
	t.Helper()
	root := commandTree(t).Root()
	root.SilenceUsage = true
	root.SetOut(out)
	root.SetErr(out)
	root.SetArgs(append([]string{"password-reset", "check"}, args...))
	return root.ExecuteContext(ctx)
}

// overTLS has Caddy serve the way as production has it: under a name, with a
// certificate, behind proxies that are trusted.
func (w *way) overTLS() {
	w.t.Helper()
	c := w.ca.issue(w.t, nil).Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	must(w.t, err)
	w.base = "https://shop.internal:" + w.port
	w.site, w.before = w.base, "tls "+pemFile(w.t, "CERTIFICATE", c.Certificate[0])+" "+pemFile(w.t, "PRIVATE KEY", key)
	w.top = "servers {\n trusted_proxies static private_ranges\n trusted_proxies_strict\n}"
}

// tidy gives what differs in each run names.
func (w *way) tidy(text string) string {
	host, err := os.Hostname()
	must(w.t, err)
	for _, r := range []struct{ from, to string }{
		{w.smtp, "RELAY"}, {w.base, "BASE"}, {w.port, "PORT"}, {w.dir, "DIR"}, {"as " + host, "as HOST"},
	} {
		text = strings.ReplaceAll(text, r.from, r.to)
	}
	text = regexp.MustCompile(`valid until \S+,`).ReplaceAllString(text, "valid until DAY,")
	return regexp.MustCompile(`\n +\n`).ReplaceAllString(text, "\n\n")
}

const goodOutput = `  ok    store            open: DIR/reset.db
  ok    store            queues: nothing waits

shop.internal:PORT
  ok    mail server      connect: RELAY
  ok    mail server      greeting
  ok    mail server      EHLO: as HOST
  ok    mail server      STARTTLS
  ok    mail server      TLS: TLS 1.3
  ok    mail server      certificate: valid until DAY, 40 days from now
  ok    mail server      AUTH: plain
  ok    mail server      sender: accepted; a relay may still refuse it where it learns the recipient, which a test mail shows
  ok    mail server      test mail: taken: 250 2.0.0 OK: queued; its link and code open nothing
  ok    sender's domain  MX: published
  ok    sender's domain  SPF: published
  ok    sender's domain  DMARC: p=reject
  ok    sender's domain  DKIM: published
  ok    directory        reach: answer 204
  ok    directory        clock: as ours
  ok    directory        hook: takes our signature
  ok    directory        signature: a strange one is refused with 401
  ok    directory        lookup: a login that nobody has is answered as unknown
  ok    target           reach: answer 204
  ok    target           clock: as ours
  ok    target           hook: takes our signature
  ok    target           signature: a strange one is refused with 401
  ok    base_url         answer: BASE/password-reset answers
  ok    base_url         our page: what answers is this site
  ok    base_url         headers: come as they were sent
  ok    proxy            visitors' addresses: taken from trusted proxies, from the right

28 steps: 0 broken, 0 notes
`

const badOutput = `  ok    store            open: DIR/reset.db
  ok    store            queues: nothing waits

shop.internal:PORT
  FAIL  mail server      connect: nothing listens at RELAY
                         → start the relay, or correct the port in ` + "`smtp RELAY`" + `: usually 587, 465 for implicit TLS, 25 for a relay of your own
  note  sender's domain  name: no mail comes from example.com, a name for examples and tests: receivers refuse it
                         → write an address of a domain of yours as ` + "`from`" + `
`

// All that is printed of a way on which nothing is wrong, and of one that has faults.
func TestCheckOutput(t *testing.T) {
	w := newWay(t)
	w.overTLS()
	relay := w.relays(&relay{tls: w.ca.issue(t, nil)})
	address := w.loadWithAdmin()
	var out bytes.Buffer
	if err := runCheck(t.Context(), t, &out, "--address", address, "--to", "ann@corner.internal", "--dkim-selector", "s1"); err != nil {
		t.Errorf("a way without a fault: %v", err)
	}
	if diff := cmp.Diff(goodOutput, w.tidy(out.String())); diff != "" {
		t.Error(diff)
	}
	if len(relay.got()) != 1 {
		t.Errorf("%d test mails", len(relay.got()))
	}

	w.smtp, w.from = closed(t), "support@example.com"
	w.loadWithAdmin()
	out.Reset()
	if err := runCheck(t.Context(), t, &out, "--address", address); err == nil {
		t.Error("a relay that is down is no error")
	}
	got := w.tidy(out.String())
	if diff := cmp.Diff(badOutput, got[:min(len(badOutput), len(got))]); diff != "" || !strings.HasSuffix(got, "\n17 steps: 1 broken, 1 note\n") {
		t.Errorf("%s\n%s", diff, got)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colours without a terminal")
	}

	out.Reset()
	if err := runCheck(t.Context(), t, &out, "--address", address, "--json"); err == nil {
		t.Error("with --json a relay that is down is no error")
	}
	var all struct {
		OK       bool
		Findings []map[string]any
	}
	must(t, json.Unmarshal(out.Bytes(), &all))
	want := map[string]any{
		"site": "shop.internal:" + w.port, "part": "mail server", "step": "connect", "broken": true, "problem": "nothing listens at " + w.smtp,
		"cure": "start the relay, or correct the port in `smtp " + w.smtp + "`: usually 587, 465 for implicit TLS, 25 for a relay of your own",
	}
	if diff := cmp.Diff(want, all.Findings[2]); diff != "" || all.OK || len(all.Findings) != 17 {
		t.Errorf("%s %t %d", diff, all.OK, len(all.Findings))
	}
	if diff := cmp.Diff(map[string]any{"part": "store", "step": "queues", "seen": "nothing waits"}, all.Findings[1]); diff != "" {
		t.Error(diff)
	}
}

// A lineWriter hands on each line as it comes.
type lineWriter chan string

func (l lineWriter) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A relay that hangs holds back nothing that was found before it, and who stops
// waiting for it gets no verdict: neither that all is well, nor that it is the
// relay's fault.
func TestCheckIsCutOff(t *testing.T) {
	w := newWay(t)
	w.smtp, w.smtpBlock = says(t), ""
	address := w.loadWithAdmin()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines := make(lineWriter)
	ended := make(chan error)
	go func() {
		ended <- runCheck(ctx, t, lines, "--address", address)
		close(lines)
	}()
	var printed strings.Builder
	for line := range lines {
		printed.WriteString(line)
		if strings.Contains(line, "queues: nothing waits") {
			break
		}
	}
	cancel()
	var rest sync.WaitGroup
	rest.Go(func() {
		for line := range lines {
			printed.WriteString(line)
		}
	})
	err := <-ended
	rest.Wait()
	if text := printed.String(); err == nil || strings.Contains(text, "mail server") || strings.Contains(text, "steps:") ||
		!strings.Contains(text, "Error: the check was cut off: context canceled") {
		t.Errorf("%v: %s", err, text)
	}
}

// Whoever stops a check within this process gets no verdict either.
func TestCheckIsStopped(t *testing.T) {
	w := newWay(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var relay sync.WaitGroup
	relay.Go(func() {
		if c, err := l.Accept(); err == nil {
			cancel()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	})
	defer relay.Wait()
	defer l.Close()
	w.smtp, w.smtpBlock = l.Addr().String(), ""
	config, err := adapt(w.caddyfile())
	must(t, err)
	found, err := caddymodule.CheckAlone(ctx, config, "", "", w.horizon)
	if err != nil || len(found) != 1 || found[0].Part != "store" {
		t.Errorf("%v: %+v", err, found)
	}
}

// What ends the process with which status, in a process of its own.
func TestCheckStatus(t *testing.T) {
	w := newWay(t)
	w.from = "support@example.com" // of which no resolver is asked
	good := w.path("Caddyfile.good")
	write := func(name, text string) string {
		file := w.path(name)
		must(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	write("Caddyfile.good", w.caddyfile())
	bad := *w
	bad.smtp = closed(t)
	env := *w
	env.smtpBlock = strings.Replace(w.smtpBlock, "RESET_SMTP_PASSWORD", "NOT_SET", 1)
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"fine", []string{"--config", good}, 0, " 0 broken, 2 notes"},
		{"broken", []string{"--config", write("Caddyfile.bad", bad.caddyfile())}, 1, "FAIL  mail server      connect: nothing listens"},
		{"broken, as JSON", []string{"--json", "--config", w.path("Caddyfile.bad")}, 1, `"ok": false`},
		{"does not parse", []string{"--config", write("Caddyfile.odd", "http://localhost:1 {\n\tpassword_reset {\n\t\tbase_urn x\n\t}\n}\n")}, 1, "FAIL  configuration    load: adapting config using caddyfile: parsing caddyfile tokens for 'password_reset': unknown option `base_urn`"},
		{"without a variable", []string{"--config", write("Caddyfile.env", env.caddyfile())}, 1, "{env.NOT_SET} is empty\n                         → if Caddy has it from a file of its unit, give it to the check as well: set -a; . FILE; set +a"},
		{"without password_reset", []string{"--config", write("Caddyfile.plain", "http://localhost:1\n")}, 1, "the configuration has no `password_reset`\n                         → write the global block `password_reset`"},
		{"without a site", []string{"--config", write("Caddyfile.lone", "{\n\tpassword_reset {\n\t\tstore bbolt "+w.path("lone/reset.db")+"\n\t}\n}\nhttp://localhost:1\n")}, 1, "FAIL  configuration    site: no site has `password_reset`"},
		{"no file", []string{"--config", w.path("missing")}, 2, "Error: reading config from file: open " + w.path("missing")},
		{"nothing at all", nil, 2, "and there is no Caddyfile in this folder; name one with --config"},
		{"nobody at that address", []string{"--address", closed(t)}, 2, "Error: no Caddy answers at"},
		{"unknown flag", []string{"--fast"}, 2, "Error: unknown flag: --fast"},
		{"an argument", []string{"alice"}, 2, "Error: unknown command \"alice\""},
		{"unknown site", []string{"--config", good, "--site", "shop"}, 2, `Error: there is no site "shop"; there are: 127.0.0.1:` + w.port},
	} {
		cmd := caddyCommand(t, w.dir, append([]string{"password-reset", "check"}, tt.args...)...)
		cmd.Env = append(cmd.Env, "CADDY_ADMIN=unix/"+w.path("nobody.sock"))
		out, err := cmd.CombinedOutput()
		status := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			status = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if status != tt.status || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: status %d, want %d with %q in:\n%s", tt.name, status, tt.status, tt.want, out)
		}
		if strings.Contains(string(out), smtpSecret) || strings.Contains(string(out), "\x1b") {
			t.Errorf("%s: a secret, or colours:\n%s", tt.name, out)
		}
	}
	if _, err := os.Stat(w.store); err == nil {
		t.Error("a store was made")
	}
}
