package sealed_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

func TestParseKey(t *testing.T) {
	const good = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"as printed by openssl", good + "\n", true},
		{"white space around it", " \t" + good + "\r\n", true},
		{"empty", "", false},
		{"31 bytes", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==", false},
		{"33 bytes", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", false},
		{"hexadecimal", strings.Repeat("01", 32), false},
		{"no padding", strings.TrimSuffix(good, "="), false},
		{"bits left over", strings.Replace(good, "QE=", "QF=", 1), false},
		{"a passphrase", "correct horse battery staple", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			key, err := sealed.ParseKey(test.text)
			if (err == nil) != test.ok {
				t.Fatalf("ParseKey = %v; want ok: %t", err, test.ok)
			}
			if test.ok && !bytes.Equal(key, key1) {
				t.Errorf("ParseKey = %x", key)
			}
			if text := strings.TrimSpace(test.text); err != nil && text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("ParseKey = %v; holds what was given", err)
			}
		})
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{
		"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "\n AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\r\n", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQF=",
		"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := sealed.ParseKey(text)
		if err != nil {
			if text != "" && strings.Contains(err.Error(), text) && len(text) > 20 {
				t.Errorf("the error holds what was given: %v", err)
			}
			return
		}
		// One key has one spelling, but for the space around it.
		bare := strings.NewReplacer("\r", "", "\n", "").Replace(strings.TrimSpace(text))
		if len(key) != sealed.KeySize || base64.StdEncoding.EncodeToString(key) != bare {
			t.Errorf("%q is read as %x", text, key)
		}
	})
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "reset.key")
	if _, err := sealed.LoadKeyFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadKeyFile = %v; want fs.ErrNotExist", err)
	}
	created, err := sealed.CreateKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := sealed.LoadKeyFile(path)
	if err != nil || !bytes.Equal(created, loaded) {
		t.Errorf("LoadKeyFile = %x, %v; want %x", loaded, err, created)
	}
	if _, err := sealed.CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second CreateKeyFile = %v; want fs.ErrExist", err)
	}
	if loaded, err := sealed.LoadKeyFile(path); err != nil || !bytes.Equal(created, loaded) {
		t.Error("the key was replaced")
	}
	other, err := sealed.CreateKeyFile(filepath.Join(t.TempDir(), "reset.key"))
	if err != nil || bytes.Equal(created, other) {
		t.Error("two keys are the same")
	}
}

func TestKeyFileModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	path := filepath.Join(t.TempDir(), "reset.key")
	if _, err := sealed.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o620: false, 0o601: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := sealed.LoadKeyFile(path)
		if (err == nil) != ok {
			t.Errorf("mode %v: LoadKeyFile = %v; want ok: %t", mode, err, ok)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("LoadKeyFile = %v; does not name the remedy", err)
		}
	}
}
