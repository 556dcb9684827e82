package main

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

const (
	newSecret   = "whsec_KCCC0wENWUHkqiK8I4MgQlY1rgrSHs0bWfDGYWluDVM="
	oldSecret   = "whsec_//79/Pv6+fj39vX08/Lx8O/u7ezr6uno"
	otherSecret = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
)

// runMain in the environment makes the test binary the receiver in Go.
const runMain = "RECEIVER_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A sample is a receiver as a program of its own.
type sample struct {
	name    string
	file    string
	fence   string // in receivers.md
	program string
	probe   []string // arguments with which the program says that it can run the sample
	needs   string   // Debian packages
	args    []string
	hash    []string // program and arguments that print the password hash; nil: the data is JSON
}

func samples(t *testing.T) []sample {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []sample{
		{name: "Go", file: "receiver.go", fence: "go", program: self},
		{
			name: "PHP", file: "receiver.php", fence: "php", program: "php", needs: "php-cli php-sqlite3",
			probe: []string{"-r", `exit(extension_loaded("pdo_sqlite") ? 0 : 1);`},
			args:  []string{"-S", "127.0.0.1:0", "receiver.php"},
			hash:  []string{"php", "-r", `echo (new PDO("sqlite:" . $argv[1]))->query("SELECT password_hash FROM accounts WHERE id = '42'")->fetchColumn();`, "--"},
		},
		{
			name: "Python", file: "receiver.py", fence: "python", program: "python3", needs: "python3",
			probe: []string{"-c", "import sqlite3"},
			args:  []string{"receiver.py"},
			hash:  []string{"python3", "-c", `import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT password_hash FROM accounts WHERE id = '42'").fetchone()[0])`},
		},
		{
			name: "Node.js", file: "receiver.mjs", fence: "js", program: "node", needs: "nodejs",
			probe: []string{"--version"},
			args:  []string{"receiver.mjs"},
		},
	}
}

// The page shows the samples as they are run here.
func TestPageHoldsTheSamples(t *testing.T) {
	page, err := os.ReadFile("../receivers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples(t) {
		code, err := os.ReadFile(s.file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(page, []byte("\n```"+s.fence+"\n"+string(code)+"```\n")) {
			t.Errorf("receivers.md does not hold %s as it is", s.file)
		}
	}
}

func TestReceivers(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.require(t)
			testReceiver(t, s.start(t))
		})
	}
}

func testReceiver(t *testing.T, r *running) {
	ctx := context.Background()
	const first = `pässwörd "<&>' ✓ with spaces `
	target := r.target(t, newSecret)
	apply := func(step string, c reset.Change, want reset.Verdict) reset.Attempt {
		t.Helper()
		got := target.Apply(ctx, c)
		if got.Verdict != want {
			t.Fatalf("%s: got %+v, want verdict %d\n%s", step, got, want, r.log.String())
		}
		return got
	}
	var hash string
	stored := func(step string, anew bool) {
		t.Helper()
		before := hash
		if hash = r.hash(t); (hash != before) != anew {
			t.Errorf("%s: the password was stored: %v, want %v", step, !anew, anew)
		}
	}

	alice := []reset.Account{{ID: "42", Login: "alice", Email: "alice@example.com", Name: "Alice", Locale: "en"}}
	lookup := &directory.Webhook{Client: r.client(t, "/hooks/lookup", newSecret), Site: "app.example.com"}
	for login, want := range map[string][]reset.Account{
		"alice": alice, "ALICE@Example.com": alice, "nobody": nil, "": nil, "' OR 1=1 --": nil, "al%": nil, "al\u0131ce": nil,
	} {
		got, err := lookup.Lookup(ctx, login)
		if err != nil {
			t.Fatalf("lookup of %q: %v\n%s", login, err, r.log.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lookup of %q: %s", login, diff)
		}
	}

	apply("first change", newChange("chg_1", 1000, first), reset.Applied)
	stored("first change", true)
	if !matches(t, hash, first) {
		t.Error("the stored password is another one")
	}
	apply("repeat", newChange("chg_1", 1000, "another password"), reset.Applied)
	stored("repeat", false)
	apply("lower sequence", newChange("chg_0", 999, "another password"), reset.Superseded)
	stored("lower sequence", false)
	if n := r.applied("chg_1"); n != 1 {
		t.Errorf("the first change was applied %d times", n)
	}

	for _, step := range []string{"refused", "refused again"} {
		if got := apply(step, newChange("chg_2", 2000, "Alice's password"), reset.Refused); got.Detail != "The password must not contain your user name." {
			t.Errorf("%s: detail %q", step, got.Detail)
		}
	}
	stored("refused", false)
	apply("a repeat of a refused one is judged anew", newChange("chg_2", 2000, "a better password"), reset.Applied)
	stored("judged anew", true)

	// Ten at a time, of one sequence with the change before.
	var repeats sync.WaitGroup
	for range 10 {
		repeats.Go(func() {
			if got := target.Apply(ctx, newChange("chg_3", 2000, "one of ten")); got.Verdict != reset.Applied {
				t.Errorf("repeat at the same time: %+v", got)
			}
		})
	}
	repeats.Wait()
	if n := r.applied("chg_3"); n != 1 {
		t.Errorf("a change was applied %d times", n)
	}
	stored("repeats at the same time", true)

	gone := newChange("chg_4", 3000, "another password")
	gone.Account.ID = "43"
	apply("no such account", gone, reset.Gone)

	for name, secrets := range map[string][]string{"old": {oldSecret}, "newest and old": {otherSecret, oldSecret}} {
		if got := r.target(t, secrets...).Apply(ctx, gone); got.Verdict != reset.Gone {
			t.Errorf("rotation, signed with the %s secret: %+v", name, got)
		}
	}
	if got := r.target(t, otherSecret).Apply(ctx, gone); got.Verdict != reset.Retry || !got.Alarm || !strings.Contains(got.Err.Error(), "401") {
		t.Errorf("signed with a wrong secret: %+v", got)
	}

	body := `{"type":"account.lookup","data":{"site":"x","login":"alice"}}`
	now := time.Now()
	requests := []struct {
		name       string
		path       string
		at         time.Time
		sent, sign string // bodies
		signatures string // %s stands for the right one
		want       int
	}{
		{"right", "/hooks/lookup", now, body, body, "%s", 200},
		{"290 s old", "/hooks/lookup", now.Add(-290 * time.Second), body, body, "%s", 200},
		{"310 s old", "/hooks/lookup", now.Add(-310 * time.Second), body, body, "%s", 401},
		{"310 s ahead", "/hooks/lookup", now.Add(310 * time.Second), body, body, "%s", 401},
		{"body changed", "/hooks/lookup", now, strings.Replace(body, "alice", "alicf", 1), body, "%s", 401},
		{"unknown version first", "/hooks/lookup", now, body, body, "v1a,AAAA %s", 200},
		{"unsigned", "/hooks/lookup", now, body, body, "", 401},
		{"signature without version", "/hooks/lookup", now, body, body, "v1,", 401},
		{"message for the other hook", "/hooks/password-changed", now, body, body, "%s", 400},
		{"no hook", "/hooks", now, body, body, "%s", 404},
	}
	oracle, err := standardwebhooks.NewWebhook(newSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range requests {
		signature, err := oracle.Sign("msg_1", q.at, []byte(q.sign))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+q.path, strings.NewReader(q.sent))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("webhook-id", "msg_1")
		req.Header.Set("webhook-timestamp", fmt.Sprint(q.at.Unix()))
		req.Header.Set("webhook-signature", strings.ReplaceAll(q.signatures, "%s", signature))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != q.want {
			t.Errorf("%s: %d, want %d\n%s", q.name, resp.StatusCode, q.want, r.log.String())
		}
	}
}

func newChange(id string, sequence int64, password string) reset.Change {
	return reset.Change{
		Site: "app.example.com", ID: id, ResetID: "R-1", Sequence: sequence,
		Account: reset.Account{ID: "42", Login: "alice"}, Format: "plain", Password: password, At: time.Now(),
	}
}

// matches says whether a hash, of the kinds that the samples make, is that of
// a password.
func matches(t *testing.T, hash, password string) bool {
	t.Helper()
	if strings.HasPrefix(hash, "$2y$") {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	}
	var n int
	var salt, key []byte
	if _, err := fmt.Sscanf(strings.ReplaceAll(hash, "$", " "), "pbkdf2-sha256 %d %x %x", &n, &salt, &key); err != nil || n < 600_000 || len(salt) < 16 || len(key) != 32 {
		t.Fatalf("hash %q: %v", hash, err)
	}
	got, err := pbkdf2.Key(sha256.New, password, salt, n, len(key))
	return err == nil && bytes.Equal(got, key)
}

// require skips the test if the machine cannot run the sample, or fails it if
// everything has to be tested.
func (s sample) require(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath(s.program)
	if err == nil && s.probe != nil {
		err = exec.Command(s.program, s.probe...).Run()
	}
	if err == nil {
		return
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("needs the Debian packages: %s", s.needs)
	}
	t.Skipf("needs the Debian packages: %s", s.needs)
}

// A running sample.
type running struct {
	sample
	url  string
	data string
	log  *syncBuffer
}

func (s sample) start(t *testing.T) *running {
	t.Helper()
	r := &running{sample: s, data: filepath.Join(t.TempDir(), "accounts"), log: &syncBuffer{}}
	cmd := exec.Command(s.program, s.args...)
	cmd.Env = append(os.Environ(), runMain+"=1", "PORT=0", "RECEIVER_DATA="+r.data,
		"RESET_WEBHOOK_SECRET="+newSecret+" "+oldSecret, "PHP_CLI_SERVER_WORKERS=4")
	cmd.Stdout, cmd.Stderr = r.log, r.log
	// PHP has several processes; all of them end with the test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	address := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
	for deadline := time.Now().Add(20 * time.Second); r.url == ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not listen:\n%s", r.log.String())
		}
		r.url = address.FindString(r.log.String())
	}
	return r
}

func (r *running) client(t *testing.T, path string, secrets ...string) *webhookout.Client {
	t.Helper()
	o := webhookout.Options{URL: r.url + path, Timeout: 30 * time.Second}
	for _, s := range secrets {
		secret, err := webhookout.ParseSecret(s)
		if err != nil {
			t.Fatal(err)
		}
		o.Secrets = append(o.Secrets, secret)
	}
	c, err := webhookout.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (r *running) target(t *testing.T, secrets ...string) *webhookout.Target {
	t.Helper()
	return &webhookout.Target{Client: r.client(t, "/hooks/password-changed", secrets...)}
}

// applied counts how often the receiver says that it has applied a change.
func (r *running) applied(id string) int {
	return strings.Count(r.log.String(), "password changed: account 42, id "+id+"\n")
}

// hash returns the stored hash of the password of account 42.
func (r *running) hash(t *testing.T) string {
	t.Helper()
	if r.sample.hash != nil {
		out, err := exec.Command(r.sample.hash[0], append(r.sample.hash[1:], r.data)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	data, err := os.ReadFile(r.data)
	if err != nil {
		t.Fatal(err)
	}
	var accounts []struct {
		Hash string `json:"password_hash"`
	}
	if err := json.Unmarshal(data, &accounts); err != nil || len(accounts) != 1 {
		t.Fatalf("%d accounts, %v", len(accounts), err)
	}
	return accounts[0].Hash
}

// A syncBuffer takes what a program prints while it is read.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
