package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// examples are the files that operators begin with.
var examples = map[string]string{
	"Caddyfile.example": filepath.Join("..", "..", "Caddyfile.example"),
	"Caddyfile.php":     filepath.Join("..", "..", "docs", "Caddyfile.php"),
}

const goodSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// command runs the program in an empty home with these variables and no
// others. It returns what the program says on both outputs, and whether it
// ended well.
func command(t *testing.T, home string, env []string, args ...string) (stdout, stderr string, ok bool) {
	t.Helper()
	var out, log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary(t), args...)
	cmd.Env = append([]string{"HOME=" + home, "CADDY_ADMIN=unix/" + filepath.Join(home, "admin.sock")}, env...)
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	return out.String(), log.String(), err == nil
}

// The secrets are all that an operator must set to see whether a file is
// right, and seeing leaves nothing behind.
func TestExamplesValidate(t *testing.T) {
	t.Parallel()
	for name, file := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			env := []string{"RESET_SMTP_PASSWORD=hunter2-of-mail", "RESET_WEBHOOK_SECRET=" + goodSecret}
			out, log, ok := command(t, home, env, "validate", "--config", file)
			if !ok || !strings.Contains(out+log, "Valid configuration") {
				t.Errorf("validate:\n%s%s", out, log)
			}
			for _, level := range []string{`"level":"warn"`, `"level":"error"`} {
				if strings.Contains(log, level) {
					t.Errorf("validate complains:\n%s", log)
				}
			}
			if strings.Contains(out+log, "hunter2") || strings.Contains(out+log, goodSecret) {
				t.Error("validate prints a secret")
			}

			out, log, ok = command(t, home, env, "adapt", "--config", file, "--validate")
			if !ok || !strings.Contains(out, `"handler":"password_reset"`) || strings.Contains(log, `"level":"warn"`) {
				t.Errorf("adapt:\n%s%s", out, log)
			}
			if strings.Contains(out+log, "hunter2") || strings.Contains(out+log, goodSecret) {
				t.Error("adapt prints a secret")
			}

			filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.IsDir() && strings.Contains(path, "password_reset") {
					t.Errorf("left behind: %s, %v", path, err)
				}
				return nil
			})
		})
	}
}

// The Caddyfile that docs/dialects.md has for each vendor works as it stands.
func TestDialectExamplesValidate(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "dialects.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllSubmatch(text, -1)
	if len(found) != len(dialect.Names()) {
		t.Errorf("%d Caddyfiles for %d dialects", len(found), len(dialect.Names()))
	}
	for _, block := range found {
		home := t.TempDir()
		file := filepath.Join(home, "Caddyfile")
		if err := os.WriteFile(file, block[1], 0o600); err != nil {
			t.Fatal(err)
		}
		var env []string
		for _, secret := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllSubmatch(block[1], -1) {
			env = append(env, string(secret[1])+"=hunter2")
		}
		env = append(env, "RESET_WEBHOOK_SECRET="+goodSecret) // the last one counts
		out, log, ok := command(t, home, env, "validate", "--config", file)
		if !ok || !strings.Contains(out+log, "Valid configuration") || strings.Contains(log, `"level":"warn"`) {
			t.Errorf("%s\nvalidate:\n%s%s", block[1], out, log)
		}
	}
}

// A secret that is missing or wrong is named, with the site and the setting
// that wants it, and the program does not start without it.
func TestMissingSecretIsNamed(t *testing.T) {
	t.Parallel()
	const mail = "RESET_SMTP_PASSWORD=hunter2-of-mail"
	tests := []struct {
		name string
		env  []string
		want string // the end of the error
	}{
		{
			"no webhook secret",
			[]string{mail},
			"site app.example.com: webhook_secret: evaluated placeholder {env.RESET_WEBHOOK_SECRET} is empty: set it in the environment that Caddy runs in",
		},
		{
			"empty webhook secret",
			[]string{mail, "RESET_WEBHOOK_SECRET="},
			"site app.example.com: webhook_secret: evaluated placeholder {env.RESET_WEBHOOK_SECRET} is empty: set it in the environment that Caddy runs in",
		},
		{
			"webhook secret that is none",
			[]string{mail, "RESET_WEBHOOK_SECRET=hunter2"},
			"site app.example.com: webhook_secret number 1: parsing webhook secret: not standard base64 with padding; " +
				"make one with: echo whsec_$(openssl rand -base64 32)",
		},
		{
			"no password of the mail server",
			[]string{"RESET_WEBHOOK_SECRET=" + goodSecret},
			"provision password_reset: smtp: secret: evaluated placeholder {env.RESET_SMTP_PASSWORD} is empty: set it in the environment that Caddy runs in",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"validate", "run"} {
				for name, file := range examples {
					out, log, ok := command(t, t.TempDir(), tt.env, verb, "--config", file)
					lines := strings.Split(strings.TrimSpace(log), "\n")
					last := lines[len(lines)-1]
					if ok || !strings.HasSuffix(last, tt.want+`"}`) && !strings.HasSuffix(last, tt.want) {
						t.Errorf("%s %s ends with %s", verb, name, last)
					}
					if strings.Contains(last, "block is missing") {
						t.Errorf("%s %s blames a block that is there: %s", verb, name, last)
					}
					if strings.Contains(out+log, "hunter2") {
						t.Errorf("%s %s prints a secret", verb, name)
					}
				}
			}
		})
	}
}
