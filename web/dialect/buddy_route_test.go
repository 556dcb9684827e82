package dialect_test

import (
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

func TestBuddyMethods(t *testing.T) {
	w := speakBuddy(t, nil)
	want := buddyError(405, 516, "OperationNotFound", "There is no such operation.")
	for path, methods := range map[string][]string{
		buddyPath:  {"GET", "HEAD", "DELETE", "TRACE", "patch", "RESET"},
		"/devices": {"GET", "HEAD", "PUT", "PATCH", "DELETE"},
	} {
		want.header["Allow"] = "OPTIONS, PATCH, POST, PUT"
		if path == "/devices" {
			want.header["Allow"] = "OPTIONS, POST"
		}
		for _, method := range methods {
			t.Run(method+" "+path, func(t *testing.T) {
				got, want := w.do(method, path, buddyJSON, ""), want
				if method == "HEAD" {
					if want.body = ""; got.header.Get("Content-Length") == "0" {
						t.Error("no length")
					}
					compare(t, got, want)
					return
				}
				compareBuddy(t, got, want)
			})
		}
	}
	if calls := w.asked(); calls != nil {
		t.Errorf("the domain was asked: %q", calls)
	}
}

func TestBuddyPaths(t *testing.T) {
	w := speakBuddy(t, func(d *dialect.Buddy) { d.Path = "/buddy/" })
	for _, tt := range []struct {
		target string
		want   string // "app", or the name of an error
	}{
		{"/buddy/users/password", ""},
		{"/Buddy/USERS/Password?x=1", ""},
		{"/buddy/users/password/", "OperationNotFound"},
		{"/buddy//users/password", "OperationNotFound"},
		{"/buddy/users/./password", "OperationNotFound"},
		{"/buddy/users%2Fpassword", "OperationNotFound"},
		{"/buddy/users", "app"},
		{"/buddy/users/login", "app"},
		{"/buddy/users/password/x", "app"},
		{"/buddy/devices/current", "app"},
		{"/buddy/devices/current/crashreports", "app"},
		{"/buddy/", "app"},
		{"/users/password", "app"},
		{"/devices", "app"},
	} {
		t.Run(tt.target, func(t *testing.T) {
			got := w.do("POST", tt.target, buddyJSON, buddyStart)
			if got.foreign != (tt.want == "app") {
				t.Fatalf("passed on: %t; %d %s", got.foreign, got.status, got.body)
			}
			if got.foreign {
				return
			}
			checkBuddy(t, got)
			checkCommon(t, got)
			if !strings.Contains(got.body, tt.want) || (tt.want == "") != (got.status == 200) || (tt.want != "") != (got.status == 400) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

func TestBuddyPreflight(t *testing.T) {
	const page = "https://pages.example"
	for _, tt := range []struct {
		name    string
		origins []string
		header  []string
		want    map[string]string
		status  int // of the call behind it
	}{
		{"any", []string{"*"}, []string{"Origin: " + page}, map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST, PATCH, PUT, OPTIONS", "Access-Control-Allow-Headers": "authorization, content-type, accept",
		}, 200},
		{"listed", []string{"https://other.example", page}, []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}, map[string]string{
			"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "POST, PATCH, PUT, OPTIONS", "Access-Control-Allow-Headers": "authorization, content-type, accept", "Vary": "Origin",
		}, 200},
		{"not listed", []string{"https://other.example"}, []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}, map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "", "Vary": "Origin",
		}, 400},
	} {
		for _, method := range []string{"POST", "PATCH", "PUT"} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				w := speakBuddy(t, func(d *dialect.Buddy) { withSecret(d); d.Origins = tt.origins })
				asks := append([]string{"Access-Control-Request-Method: " + method, "Access-Control-Request-Headers: authorization,content-type"}, tt.header...)
				for _, path := range []string{buddyPath, "/devices"} {
					tt.want["Content-Type"] = "application/json"
					compareBuddy(t, w.do("OPTIONS", path, asks, ""), expected{200, tt.want, buddySuccess})
				}
				body := buddyStart
				if method == "PATCH" {
					body = buddyFinish
				}
				got := w.do(method, buddyPath, append(signed(t, method, buddyJSON), tt.header...), body)
				checkBuddy(t, got)
				if got.status != tt.status || tt.status == 400 && !strings.Contains(got.body, `"error":"ObjectPermissionDenied","errorNumber":771,`) {
					t.Errorf("the call itself: %d %s", got.status, got.body)
				}
				if tt.status == 400 && w.asked() != nil {
					t.Errorf("the domain was asked: %q", w.asked())
				}
			})
		}
	}
}
