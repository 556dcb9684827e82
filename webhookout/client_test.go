package webhookout_test

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

func TestMain(m *testing.M) {
	// Nothing listens there. net/http looks once in the life of a process, and
	// never proxies loopback addresses: TestRebinding, which uses names, fails
	// if the proxy is asked.
	os.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	goleak.VerifyTestMain(m)
}

var message = webhookout.Message{ID: "msg_1", Body: []byte(`{"type":"account.lookup"}`)}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// newClient fills in a secret, and closes the client with the test.
func newClient(tb testing.TB, o webhookout.Options) *webhookout.Client {
	tb.Helper()
	if o.Secrets == nil {
		o.Secrets = []webhookout.Secret{mustSecret(tb, testSecret)}
	}
	c, err := webhookout.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func TestNew(t *testing.T) {
	secrets := []webhookout.Secret{mustSecret(t, testSecret)}
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "https://app.example.com/"
	tests := []struct {
		name    string
		options webhookout.Options
		err     string
	}{
		{"smallest", webhookout.Options{URL: url, Secrets: secrets}, ""},
		{"no secret", webhookout.Options{URL: url}, "secret is missing"},
		{"zero secret", webhookout.Options{URL: url, Secrets: []webhookout.Secret{{}}}, "secret is empty"},
		{"negative timeout", webhookout.Options{URL: url, Secrets: secrets, Timeout: -1}, "negative"},
		{"negative connections", webhookout.Options{URL: url, Secrets: secrets, Connections: -1}, "negative"},
		{"missing CA", webhookout.Options{URL: url, Secrets: secrets, TrustedCA: noPEM + "x"}, "reading trusted_ca"},
		{"empty CA", webhookout.Options{URL: url, Secrets: secrets, TrustedCA: noPEM}, "no PEM certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := webhookout.New(tt.options)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

func TestRequestOnTheWire(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Set-Cookie", "a=b")
	}))
	defer server.Close()
	client := newClient(t, webhookout.Options{URL: server.URL + "/hooks/lookup?tenant=1"})
	before := time.Now().Unix()
	for range 2 {
		if a := client.Post(context.Background(), message); !a.OK() {
			t.Fatalf("got %+v", a)
		}
	}
	sent, err := strconv.ParseInt(got.Header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || sent < before || sent > time.Now().Unix() {
		t.Errorf("timestamp %q", got.Header.Get("Webhook-Timestamp"))
	}
	got.Header.Del("Webhook-Timestamp")
	got.Header.Del("Webhook-Signature")
	want := http.Header{
		"Accept":          {"application/json"},
		"Accept-Encoding": {"identity"},
		"Connection":      {"close"},
		"Content-Type":    {"application/json"},
		"Content-Length":  {strconv.Itoa(len(message.Body))},
		"User-Agent":      {"caddy-password-reset"},
		"Webhook-Id":      {message.ID},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if got.Method != http.MethodPost || got.RequestURI != "/hooks/lookup?tenant=1" || string(body) != string(message.Body) {
		t.Errorf("%s %s %s", got.Method, got.RequestURI, body)
	}
}

func TestPostRefusesBadMessages(t *testing.T) {
	client := newClient(t, webhookout.Options{URL: "http://127.0.0.1:1/"})
	for name, m := range map[string]webhookout.Message{
		"empty id":         {ID: ""},
		"id with a dot":    {ID: "a.b"},
		"id with a line":   {ID: "a\r\nb: c"},
		"id not ASCII":     {ID: "ü"},
		"body over 20 kB":  {ID: "a", Body: make([]byte, 20_001)},
		"id over 255 long": {ID: strings.Repeat("a", 256)},
	} {
		if a := client.Post(context.Background(), m); a.Err == nil || !strings.HasPrefix(a.Err.Error(), "webhook ") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())

	trusting := newClient(t, webhookout.Options{URL: server.URL, TrustedCA: ca})
	if a := trusting.Post(context.Background(), message); a.Status != http.StatusNoContent {
		t.Errorf("with the right CA: %+v", a)
	}
	strange := newClient(t, webhookout.Options{URL: server.URL})
	if a := strange.Post(context.Background(), message); a.Err == nil || !a.Alarm() || !strings.Contains(a.Err.Error(), "checking certificate") {
		t.Errorf("with an unknown CA: %+v", a)
	}
	misnamed := newClient(t, webhookout.Options{URL: "https://localhost:" + port, TrustedCA: ca})
	if a := misnamed.Post(context.Background(), message); a.Err == nil || !a.Alarm() || !strings.Contains(a.Err.Error(), "checking certificate") {
		t.Errorf("with a certificate for another name: %+v", a)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	const bound = 3
	var now, most atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	client := newClient(t, webhookout.Options{URL: server.URL, Connections: bound, Timeout: 10 * time.Second})
	var posts sync.WaitGroup
	for range 4 * bound {
		posts.Go(func() {
			if a := client.Post(context.Background(), message); !a.OK() {
				t.Errorf("got %+v", a)
			}
		})
	}
	for now.Load() < bound {
		time.Sleep(time.Millisecond)
	}
	// All connections are in use: one more gives up when its caller does.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if a := client.Post(ctx, message); a.Err == nil || !strings.Contains(a.Err.Error(), "no connection became free") {
		t.Errorf("got %+v", a)
	}
	close(release)
	posts.Wait()
	if most.Load() != bound {
		t.Errorf("%d exchanges at a time, want %d", most.Load(), bound)
	}
}

func BenchmarkPost(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	client := newClient(b, webhookout.Options{URL: server.URL})
	body := []byte(`{"type":"password.changed","data":"` + strings.Repeat("x", 300) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		if a := client.Post(context.Background(), webhookout.Message{ID: "msg_1", Body: body}); !a.OK() {
			b.Fatal(a.Err)
		}
	}
}
