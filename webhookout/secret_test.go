package webhookout_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

const testSecret = "whsec_KCCC0wENWUHkqiK8I4MgQlY1rgrSHs0bWfDGYWluDVM="

func mustSecret(tb testing.TB, s string) webhookout.Secret {
	tb.Helper()
	secret, err := webhookout.ParseSecret(s)
	if err != nil {
		tb.Fatal(err)
	}
	return secret
}

func TestParseSecret(t *testing.T) {
	encode := func(n int) string {
		return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, n))
	}
	bare := strings.TrimPrefix(testSecret, "whsec_")
	tests := []struct {
		name, in, err string
	}{
		{"standard form", testSecret, ""},
		{"bare", bare, ""},
		{"as in Supabase", "v1," + testSecret, ""},
		{"version without prefix", "v1," + bare, ""},
		{"24 bytes", encode(24), ""},
		{"64 bytes", encode(64), ""},
		{"empty", "", "24 to 64"},
		{"prefix only", "whsec_", "24 to 64"},
		{"23 bytes", encode(23), "23 bytes"},
		{"65 bytes", encode(65), "65 bytes"},
		{"URL-safe alphabet", base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32)), "not standard base64"},
		{"no padding", strings.TrimRight(encode(32), "="), "not standard base64"},
		{"loose last bits", bare[:len(bare)-2] + "N=", "not standard base64"},
		{"line end", bare + "\n", "not standard base64"},
		{"line end within", bare[:20] + "\r\n" + bare[20:], "not standard base64"},
		{"space before", " " + bare, "not standard base64"},
		{"prefix twice", "whsec_" + testSecret, "not standard base64"},
		{"private key", "whsk_" + encode(64), "ed25519"},
		{"public key", "v1,whpk_" + encode(32), "ed25519"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := webhookout.ParseSecret(tt.in)
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got error %v, want one with %q", err, tt.err)
			}
			if key := strings.TrimSpace(tt.in); len(key) > 8 && strings.Contains(err.Error(), key[7:]) {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestSecretIsNotShown(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	secret := mustSecret(t, base64.StdEncoding.EncodeToString(key))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "in", []webhookout.Secret{secret})
	//lint:ignore SA9005 that nothing of it is encoded is what this holds
	j, _ := json.Marshal(secret)
	shown := log.String() + string(j) + fmt.Sprintf("%v %+v %#v %s %q %x %v", secret, secret, secret, secret, secret, secret,
		struct{ S webhookout.Secret }{secret})
	for _, form := range []string{"kkk", "107 107", "0x6b, 0x6b", "6b6b6b", base64.StdEncoding.EncodeToString(key)[:12]} {
		if strings.Contains(shown, form) {
			t.Errorf("the key shows as %q in %s", form, shown)
		}
	}
}
