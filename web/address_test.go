package web_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

func TestCheckPath(t *testing.T) {
	for _, path := range []string{"", "/", "/v2", "/v2/", "/Old/Api-1_2.x~"} {
		if err := web.CheckPath(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"v2", " ", "//", "/v2//", "/v2//x", "/v2/../x", "/.", "/v2 x", "/v2%20", "/v2?", "/v2#x", "/v2;x", "/{x}", "/{env.X}", "/*", `/\x`, "/é"} {
		if err := web.CheckPath(path); err == nil || !strings.HasPrefix(err.Error(), "path ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCheckOrigins(t *testing.T) {
	for _, origins := range [][]string{
		nil,
		{},
		{"*"},
		{"https://app.example.com", "http://localhost:3000"},
		{"https://app.example.com:8443", "https://app.example.com:80", "http://app.example.com:443"},
		{"https://xn--bcher-kva.example", "https://my_app.example.com", "https://app.example.com."},
		{"http://127.0.0.1:5173", "http://[::1]:5173", "https://2.app.example.com", "https://1and1.example"},
		{"capacitor://localhost", "ionic://localhost", "app://localhost:80", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"},
	} {
		if err := web.CheckOrigins(origins); err != nil {
			t.Errorf("%q: %v", origins, err)
		}
	}
	const (
		address  = "; write `origins *`, or addresses without a path such as `origins https://app.example.com`"
		notOne   = " is not an origin" + address
		notPages = " is no origin that pages have" + address
		write    = " is not how browsers send it; write "
	)
	for _, tt := range []struct{ origin, want string }{
		{"", notOne},
		{"app.example.com", notOne},
		{"//app.example.com", notOne},
		{"https://", notOne},
		{"https://:8080", notOne},
		{"capacitor://", notOne},
		{"mailto:alice@example.com", notOne},
		{"https://alice@app.example.com", notOne},
		{"https://*.example.com", notOne},
		{"https://app example.com", notOne},
		{"https://app..example.com", notOne},
		{"https://.", notOne},
		{"https://app.example.com:65536", notOne},
		{"https://app.example.com:https", notOne},
		{"https://[fe80::1%25eth0]", notOne},
		{"https://127.1", notOne},
		{"https://0x7f000001", notOne},
		{"https://xn--a", notOne},
		{"file://localhost", notPages},
		{"ftp://app.example.com", notPages},
		{"wss://app.example.com", notPages},
		{"https://app.example.com/", write + "https://app.example.com"},
		{"https://app.example.com/a/b?c#d", write + "https://app.example.com"},
		{"https://app.example.com:443", write + "https://app.example.com"},
		{"http://app.example.com:80", write + "http://app.example.com"},
		{"https://app.example.com:", write + "https://app.example.com"},
		{"https://app.example.com:08443", write + "https://app.example.com:8443"},
		{"https://APP.example.com", write + "https://app.example.com"},
		{"HTTPS://app.example.com", write + "https://app.example.com"},
		{"https://bücher.example", write + "https://xn--bcher-kva.example"},
		{"https://BÜCHER.example:8443", write + "https://xn--bcher-kva.example:8443"},
		{"http://[0:0::1]", write + "http://[::1]"},
	} {
		err := web.CheckOrigins([]string{"https://app.example.com", tt.origin})
		if want := "origins: " + strconv.Quote(tt.origin) + tt.want; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := web.CheckOrigins([]string{"null"}); err == nil || !strings.HasPrefix(err.Error(), "origins: null stands for pages of any site") {
		t.Errorf("null: %v", err)
	}
	for _, origins := range [][]string{{"*", "https://app.example.com"}, {"https://app.example.com", "*"}, {"*", "*"}} {
		if err := web.CheckOrigins(origins); err == nil || err.Error() != "origins: * stands for all; write it alone" {
			t.Errorf("%q: %v", origins, err)
		}
	}
}
