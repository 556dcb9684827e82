package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
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
	return &webhookout.Target{Client: r.client(t, "/hooks/password-changed", secrets...), Site: "app.example.com"}
}

func (r *running) lookup(t *testing.T, secrets ...string) *directory.Webhook {
	t.Helper()
	return &directory.Webhook{Client: r.client(t, "/hooks/lookup", secrets...), Site: "app.example.com"}
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
