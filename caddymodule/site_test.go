package caddymodule

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSiteID(t *testing.T) {
	for base, want := range map[string]string{
		"https://app.example.com":          "app.example.com",
		"https://app.example.com/":         "app.example.com",
		"https://APP.example.COM:443":      "app.example.com",
		"https://app.example.com:8443/app": "app.example.com:8443/app",
		"https://app.example.com/App/":     "app.example.com/App",
		"http://127.0.0.1:80":              "127.0.0.1",
		"http://127.0.0.1:443":             "127.0.0.1:443",
		"http://[::1]:8080":                "[::1]:8080",
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if got := siteID(u); got != want {
			t.Errorf("%s: got %q, want %q", base, got, want)
		}
	}
}

// TestCanonical holds that every spelling of a path names one store: two of
// them would be opened twice, and the second time fail.
func TestCanonical(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(dir, "real")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(real)
	there := filepath.Join(real, "there.db")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(there, filepath.Join(dir, "file.db")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"there.db":                                there,
		"./x/../there.db":                         there,
		filepath.Join(dir, "link", "there.db"):    there,
		filepath.Join(dir, "file.db"):             there,
		filepath.Join(dir, "link", "new.db"):      filepath.Join(real, "new.db"),
		filepath.Join(dir, "link", "new/new.db"):  filepath.Join(real, "new", "new.db"),
		"/nowhere-at-all/new.db":                  "/nowhere-at-all/new.db",
		filepath.Join(dir, "link") + "//./new.db": filepath.Join(real, "new.db"),
	} {
		if got, err := canonical(path); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", path, got, err, want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		48 * time.Hour:                 "48h",
		90 * time.Minute:               "1h30m",
		10 * time.Minute:               "10m",
		30 * time.Second:               "30s",
		time.Hour + 5*time.Second:      "1h0m5s",
		20*time.Hour + 10*time.Minute:  "20h10m",
		time.Minute + time.Millisecond: "1m0.001s",
	} {
		if got := short(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}
