package webhookout_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

func TestURL(t *testing.T) {
	tests := []struct {
		name, url string
		insecure  bool
		err       string
	}{
		{"https", "https://app.example.com/hooks/lookup?tenant=1", false, ""},
		{"https with port", "https://app.example.com:8443/", false, ""},
		{"https to a public literal", "https://8.8.8.8/", false, ""},
		{"loopback", "http://127.0.0.1:3000/hooks", false, ""},
		{"loopback, another", "http://127.8.9.10/hooks", false, ""},
		{"loopback, IPv6", "http://[::1]:3000/hooks", false, ""},
		{"loopback, mapped", "http://[::ffff:127.0.0.1]:3000/hooks", false, ""},
		{"localhost", "http://localhost:3000/hooks", false, ""},
		{"localhost in capitals with a dot", "http://LocalHost.:3000/hooks", false, ""},
		{"below localhost", "http://app.localhost/hooks", false, ""},
		{"socket", "unix//run/app.sock:/hooks/lookup", false, ""},
		{"socket without path", "unix//run/app.sock", false, ""},
		{"abstract socket", "unix/@app:/hooks", false, ""},
		{"private, insecure", "http://10.1.2.3:3000/", true, ""},
		{"private and mapped, insecure", "http://[::ffff:10.1.2.3]/", true, ""},
		{"private IPv6, insecure", "http://[fd00::1]/", true, ""},
		{"link-local, insecure", "http://[fe80::1%25eth0]/", true, ""},
		{"name, insecure", "http://app:3000/hooks", true, ""},

		{"private", "http://10.1.2.3:3000/", false, "insecure_http"},
		{"private and mapped", "http://[::ffff:10.1.2.3]/", false, "insecure_http"},
		{"name", "http://app:3000/hooks", false, "insecure_http"},
		{"name ending like localhost", "http://notlocalhost/hooks", false, "insecure_http"},
		{"localhost as a label", "http://localhost.example.com/", false, "insecure_http"},
		{"number that some resolvers read as an address", "http://2130706433/", false, "insecure_http"},
		{"unspecified", "http://0.0.0.0:3000/", false, "insecure_http"},
		{"unspecified, insecure", "http://0.0.0.0:3000/", true, "neither private nor"},
		{"public, insecure", "http://8.8.8.8/", true, "neither private nor"},
		{"public and mapped, insecure", "http://[::ffff:8.8.8.8]/", true, "neither private nor"},
		{"NAT64, insecure", "http://[64:ff9b::808:808]/", true, "neither private nor"},
		{"user name", "https://hook:s3cret@app.example.com/", false, "user name"},
		{"user name, odd", "https://hook:s3c@ret:x@app.example.com:99999999/", false, "user name"},
		{"fragment", "https://app.example.com/#s3cret", false, "fragment"},
		{"no host", "https:///hooks?s3cret", false, "no host"},
		{"opaque", "https:s3cret", false, "not a URL"},
		{"empty", "", false, "not a URL"},
		{"path only", "/hooks/s3cret", false, "not a URL"},
		{"other scheme", "ftp://s3cret/", false, "not a URL"},
		{"control character", "https://app.example.com/\x7fs3cret", false, "not a URL"},
		{"port 0", "http://127.0.0.1:0/s3cret", false, "port"},
		{"port too large", "http://127.0.0.1:65536/s3cret", false, "port"},
		{"socket, relative", "unix/run/app.sock:/s3cret", false, "socket"},
		{"socket, nothing", "unix/", false, "socket"},
		{"socket, bad path", "unix//run/app.sock:/%zzs3cret", false, "path after the socket"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := webhookout.New(webhookout.Options{URL: tt.url, InsecureHTTP: tt.insecure, Secrets: []webhookout.Secret{mustSecret(t, testSecret)}})
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got error %v, want one with %q", err, tt.err)
			}
			if strings.Contains(err.Error(), "s3c") {
				t.Errorf("the error quotes the URL: %v", err)
			}
		})
	}
}

func TestInsecureHTTPIsWarnedAbout(t *testing.T) {
	for url, want := range map[string]bool{
		"http://10.0.0.1/x?s3cret": true,
		"http://app/x?s3cret":      true,
		"http://127.0.0.1/x":       false,
		"http://localhost/x":       false,
		"https://app.example.com/": false,
		"unix//run/app.sock:/x":    false,
	} {
		var log bytes.Buffer
		newClient(t, webhookout.Options{URL: url, InsecureHTTP: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if got := strings.Contains(log.String(), "level=WARN"); got != want {
			t.Errorf("%s: warned %v, want %v", url, got, want)
		}
		if strings.Contains(log.String(), "s3cret") {
			t.Errorf("the query is logged: %s", log.String())
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hooks/lookup" && r.URL.RawQuery == "a=b" && r.Host == "localhost" {
			w.WriteHeader(http.StatusNoContent)
		}
	})}}
	server.Start()
	defer server.Close()
	client := newClient(t, webhookout.Options{URL: "unix/" + path + ":/hooks/lookup?a=b"})
	if a := client.Post(context.Background(), message); a.Status != http.StatusNoContent {
		t.Errorf("got %+v", a)
	}
}

// A name that was near when the configuration was loaded must not lead
// elsewhere later (DNS rebinding).
func TestRebinding(t *testing.T) {
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	answer := fakeDNS(t)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())

	client := newClient(t, webhookout.Options{URL: "http://app.test:" + port + "/hook?s3cret", InsecureHTTP: true})
	answer.Store(netip.MustParseAddr("127.0.0.1"))
	if a := client.Post(context.Background(), message); a.Status != http.StatusNoContent {
		t.Fatalf("while the name is near: %+v", a)
	}
	for _, far := range []string{"203.0.113.7", "0.0.0.0", "100.64.0.1"} {
		answer.Store(netip.MustParseAddr(far))
		a := client.Post(context.Background(), message)
		if a.Status != 0 || a.Err == nil || !a.Alarm() || !strings.Contains(a.Err.Error(), "neither private nor link-local") {
			t.Errorf("%s was dialled: %+v", far, a)
		}
	}

	// Without insecure_http, localhost is allowed as a name, and only that far.
	local := newClient(t, webhookout.Options{URL: "http://app.localhost:" + port + "/hook"})
	answer.Store(netip.MustParseAddr("10.0.0.1"))
	if a := local.Post(context.Background(), message); a.Status != 0 || !a.Alarm() || !strings.Contains(a.Err.Error(), "another machine") {
		t.Errorf("localhost led to 10.0.0.1: %+v", a)
	}
	if hits.Load() != 1 {
		t.Errorf("%d requests arrived", hits.Load())
	}
}

// fakeDNS answers every question for an IPv4 address with the stored one.
func fakeDNS(t *testing.T) *atomic.Value {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answer atomic.Value
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true}, Questions: m.Questions}
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				reply.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: answer.Load().(netip.Addr).As4()},
				}}
			}
			packed, err := reply.Pack()
			if err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		conn.Close()
		<-done
	})
	return &answer
}
