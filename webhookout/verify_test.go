package webhookout_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

func headers(id, timestamp, signature string) http.Header {
	h := make(http.Header)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", timestamp)
	h.Set("webhook-signature", signature)
	return h
}

// The vectors were made with the reference libraries for Go and JavaScript.
func TestVerifyVectors(t *testing.T) {
	const (
		first  = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
		second = "whsec_//79/Pv6+fj39vX08/Lx8O/u7ezr6uno"
	)
	utf8 := `{"type":"password_reset.completed","timestamp":"2026-11-22T01:04:42.618Z","data":{"user":"cesare","note":"ünïcode ✓"}}`
	utf8Header := func() http.Header {
		return headers("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "1795309482", "v1,s1b+n2aw9dY4jH/43o2gUuCgv2Xl/flu/eux3OW0UDk=")
	}
	with := func(h http.Header, name, value string) http.Header {
		h.Set(name, value)
		return h
	}
	rotated := `{"type":"password_reset.completed","timestamp":"2026-01-02T03:04:05Z","data":{"account":"acc_1"}}`
	const newSig, oldSig = "v1,f54j3nhr3/191b8EsmuilqIS9Jl+DciatSRLs8ouCL0=", "v1,PQssFmebfgAjYv8Z8vTyJUl5QMT9RemLKi9MnQs+J7k="
	repeated := utf8Header()
	repeated.Add("webhook-timestamp", "1795309482")

	tests := []struct {
		name    string
		secrets []string
		header  http.Header
		body    string
		now     int64
		want    error
	}{
		{"UTF-8 body", []string{testSecret}, utf8Header(), utf8, 1795309482, nil},
		{"299 s old", []string{testSecret}, utf8Header(), utf8, 1795309482 + 299, nil},
		{"300 s ahead", []string{testSecret}, utf8Header(), utf8, 1795309482 - 300, nil},
		{"301 s old", []string{testSecret}, utf8Header(), utf8, 1795309482 + 301, webhookout.ErrTimestamp},
		{"301 s ahead", []string{testSecret}, utf8Header(), utf8, 1795309482 - 301, webhookout.ErrTimestamp},
		{"byte added", []string{testSecret}, utf8Header(), utf8 + " ", 1795309482, webhookout.ErrSignature},
		{"byte changed", []string{testSecret}, utf8Header(), strings.Replace(utf8, "cesare", "cesarE", 1), 1795309482, webhookout.ErrSignature},
		{"other secret", []string{first}, utf8Header(), utf8, 1795309482, webhookout.ErrSignature},
		{"no secret", nil, utf8Header(), utf8, 1795309482, webhookout.ErrSignature},
		{"other id", []string{testSecret}, with(utf8Header(), "webhook-id", "msg_2"), utf8, 1795309482, webhookout.ErrSignature},
		{"other timestamp", []string{testSecret}, with(utf8Header(), "webhook-timestamp", "1795309483"), utf8, 1795309482, webhookout.ErrSignature},
		{"timestamp with a plus", []string{testSecret}, with(utf8Header(), "webhook-timestamp", "+1795309482"), utf8, 1795309482, webhookout.ErrHeaders},
		{"timestamp not a number", []string{testSecret}, with(utf8Header(), "webhook-timestamp", "now"), utf8, 1795309482, webhookout.ErrHeaders},
		{"timestamp at the end of the range", []string{testSecret}, with(utf8Header(), "webhook-timestamp", "-9223372036854775808"), utf8, 1795309482, webhookout.ErrTimestamp},
		{"timestamp twice", []string{testSecret}, repeated, utf8, 1795309482, webhookout.ErrHeaders},
		{"id with a dot", []string{testSecret}, with(utf8Header(), "webhook-id", "a.b"), utf8, 1795309482, webhookout.ErrHeaders},
		{"no id", []string{testSecret}, with(utf8Header(), "webhook-id", ""), utf8, 1795309482, webhookout.ErrHeaders},
		{"no signature", []string{testSecret}, with(utf8Header(), "webhook-signature", ""), utf8, 1795309482, webhookout.ErrHeaders},
		{"no headers", []string{testSecret}, http.Header{}, utf8, 1795309482, webhookout.ErrHeaders},
		{"other version", []string{testSecret}, with(utf8Header(), "webhook-signature", "v2,s1b+n2aw9dY4jH/43o2gUuCgv2Xl/flu/eux3OW0UDk="), utf8, 1795309482, webhookout.ErrSignature},
		{"comma between", []string{second}, headers("msg_0001", "1767323045", newSig+", "+oldSig+","), rotated, 1767323045, webhookout.ErrSignature},
		{"rotation, new secret", []string{first}, headers("msg_0001", "1767323045", newSig+" "+oldSig), rotated, 1767323045, nil},
		{"rotation, old secret", []string{second}, headers("msg_0001", "1767323045", newSig+" "+oldSig), rotated, 1767323045, nil},
		{"rotation, both secrets", []string{second, first}, headers("msg_0001", "1767323045", newSig), rotated, 1767323045, nil},
		{"unknown version first", []string{first}, headers("msg_0001", "1767323045", "v1a,AAAA "+newSig), rotated, 1767323045, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var secrets []webhookout.Secret
			for _, s := range tt.secrets {
				secrets = append(secrets, mustSecret(t, s))
			}
			if err := webhookout.Verify(secrets, tt.header, []byte(tt.body), time.Unix(tt.now, 0)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// The zero Secret is an empty key, with which anybody can sign; the reference
// library does accept it.
func TestVerifyRefusesTheZeroSecret(t *testing.T) {
	oracle, err := standardwebhooks.NewWebhookRaw(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := oracle.Sign("msg_1", now, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	h := headers("msg_1", unix(now), signature)
	if err := webhookout.Verify([]webhookout.Secret{{}}, h, []byte("{}"), now); !errors.Is(err, webhookout.ErrSignature) {
		t.Errorf("got %v", err)
	}
}

// What the reference library signs, Verify verifies; what the client sends,
// the reference library verifies, with each of two secrets.
func TestOracle(t *testing.T) {
	second := "whsec_" + base64.StdEncoding.EncodeToString([]byte("the older secret, still in use.."))
	body := `{"type":"x","note":"ünïcode ✓"}`

	for _, s := range []string{testSecret, second} {
		oracle, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		signature, err := oracle.Sign("msg_1", now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		secrets := []webhookout.Secret{mustSecret(t, testSecret), mustSecret(t, second)}
		if err := webhookout.Verify(secrets, headers("msg_1", unix(now), signature), []byte(body), now); err != nil {
			t.Errorf("signed by the oracle: %v", err)
		}
	}

	var results []error
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		for _, s := range []string{testSecret, second} {
			oracle, err := standardwebhooks.NewWebhook(s)
			if err == nil {
				err = oracle.Verify(got, r.Header)
			}
			results = append(results, err, webhookout.Verify([]webhookout.Secret{mustSecret(t, s)}, r.Header, got, time.Now()))
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	client := newClient(t, webhookout.Options{URL: server.URL, Secrets: []webhookout.Secret{mustSecret(t, testSecret), mustSecret(t, second)}})
	if a := client.Post(context.Background(), webhookout.Message{ID: "msg_1", Body: []byte(body)}); a.Status != http.StatusNoContent {
		t.Fatalf("got %+v", a)
	}
	if len(results) != 4 {
		t.Fatalf("%d results", len(results))
	}
	for _, err := range results {
		if err != nil {
			t.Error(err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("msg_1", "1795309482", "v1,s1b+n2aw9dY4jH/43o2gUuCgv2Xl/flu/eux3OW0UDk=", []byte("{}"))
	f.Add("", "-1", "v1, v1,", []byte(nil))
	secret := mustSecret(f, testSecret)
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
		err := webhookout.Verify([]webhookout.Secret{secret}, h, body, time.Unix(1795309482, 0))
		if err != nil {
			return
		}
		oracle, _ := standardwebhooks.NewWebhook(testSecret)
		if oracle.VerifyIgnoringTimestamp(body, h) != nil {
			t.Error("accepted what the reference library refuses")
		}
	})
}
