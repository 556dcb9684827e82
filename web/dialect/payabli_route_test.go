package dialect_test

import (
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

func TestPayabliPaths(t *testing.T) {
	for _, tt := range []struct {
		mount, target string
		status        int // 0: the app's
	}{
		{"/api", "/api/User/authreset", 200},
		{"/api", "/api/user/AUTHRESET", 200},
		{"/api", "/api/User/authreset?", 200},
		{"/api/", "/api/User/authreset", 200},
		{"/", "/User/authreset", 200},
		{"", "/User/authreset", 200},
		{"/pay/v1", "/pay/v1/User/authreset", 200},
		{"/api", "/api/User/authreset/", 404},
		{"/api", "//api/User/authreset", 404},
		{"/api", "/api/User/authreset/x", 0},
		{"/api", "/api/User/authpsw", 0},
		{"/api", "/api/v2/Token/serverside", 0},
		{"/pay/v1", "/api/User/authreset", 0},
	} {
		t.Run(tt.mount+" "+tt.target, func(t *testing.T) {
			w := speakPayabli(t, func(d *dialect.Payabli) { d.Path = tt.mount })
			got := w.do("POST", tt.target, payabliHeader, payabliBody)
			switch tt.status {
			case 0:
				if !got.foreign {
					t.Errorf("it is taken from the app: %d %s", got.status, got.body)
				}
			case 200:
				compare(t, got, payabliAnswer(200, payabliSuccess))
			default:
				compare(t, got, payabliError(404, "Not found"))
			}
			if (tt.status == 200) != (len(w.requests) == 1) {
				t.Errorf("requests %v", w.requests)
			}
		})
	}
}

func TestPayabliMethods(t *testing.T) {
	w := speakPayabli(t, nil)
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "post"} {
		t.Run(method, func(t *testing.T) {
			want := payabliError(405, "Method not allowed")
			want.header["Allow"] = "POST, OPTIONS"
			if method == "HEAD" {
				want.body = ""
			}
			compare(t, w.do(method, payabliPath, payabliHeader, ""), want)
		})
	}
	if calls := w.asked(); calls != nil {
		t.Errorf("the domain was asked: %q", calls)
	}
}

func TestPayabliOrigins(t *testing.T) {
	const page = "https://app.example.net"
	for _, tt := range []struct {
		name    string
		origins []string
		header  []string
		allowed string
		status  int
	}{
		{"default, no browser", nil, nil, "", 200},
		{"default, this site", nil, []string{"Origin: " + origin, "Sec-Fetch-Site: same-origin"}, "", 200},
		{"default, another site", nil, []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}, "", 403},
		{"default, another site, old browser", nil, []string{"Origin: " + page}, "", 403},
		{"default, form of another site", nil, []string{"Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, "", 403},
		{"listed", []string{page}, []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}, page, 200},
		{"not listed", []string{page}, []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, "", 403},
		{"all", []string{"*"}, []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}, "*", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakPayabli(t, func(d *dialect.Payabli) { d.Origins = tt.origins })
			want := payabliAnswer(200, payabliSuccess)
			if tt.status == 403 {
				want = payabliError(403, "Forbidden")
			}
			want.header["Access-Control-Allow-Origin"] = tt.allowed
			compare(t, w.do("POST", payabliPath, append(tt.header, payabliHeader...), payabliBody), want)
			if (tt.status == 200) != (len(w.requests) == 1) {
				t.Errorf("requests %v", w.requests)
			}
		})
	}
}
