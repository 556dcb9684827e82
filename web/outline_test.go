package web

import (
	"strings"
	"testing"
)

func TestMayCover(t *testing.T) {
	h := routesOf(t, "/password-reset", "/forgot-password", "/lost*", "/users/*/reset")
	for path, want := range map[string]bool{
		"/x%2f..%2fforgot-password":              true,
		"/forgot-password%2f..":                  true,
		"/forgot-password%00.html":               true,
		"/forgot%2dpassword":                     true,
		"/forgot%252dpassword":                   true,
		`/x\..\forgot-password`:                  true,
		"/x;/forgot-password":                    true,
		"/..;/password-reset/new":                true,
		"/%2e%2e/password-reset":                 true,
		"/LOST%5cx":                              true,
		"/forgot-password/../admin":              true,
		"/a/b%2fforgot-password":                 false,
		"/projects/group%2fproject":              false,
		"/forgot-password-not/x%2fy":             false,
		"/forgot-password/below/x%2fy":           false,
		"/matrix;a=b/c":                          false,
		"/./forgot-password%00/x":                true,
		"//forgot-password%00/x":                 true,
		"/x/..;/./forgot-password%00":            true,
		"/users/./reset/../x":                    true,
		"/users/./reset%00":                      true,
		"/users/./reset":                         true,
		"/users//reset":                          true,
		"/users/;x/reset":                        true,
		"/users/%2e%2e/reset":                    true,
		"/x;/users/./reset":                      true,
		"/users/1/2/reset":                       false,
		"/users/%2e%2e/reset/":                   true,
		"/users/a%2Fb/reset":                     true,
		"/users/a%252Fb/./reset/":                true,
		"/users/%2e//reset":                      true,
		"/users/a%2Fb/reset/below":               false,
		"/lo\u017ft\x00":                         true,
		"/lo%2Fst":                               false,
		"/forgot-password%2520":                  true,
		"/x%2f..%2fforgot-password.":             true,
		"/forgot-password/%20":                   true,
		"/forgot-password/.%20":                  true,
		"/forgot-password/x/..%20":               true,
		"/x/..%20/forgot-password":               true,
		"/a%2f..%2flo%25C5%25BFt":                true,
		"/x/../forgot-password#x":                true,
		"/x/y/..//../forgot-password%00/z":       true,
		"/x/../forgot-password/z#x":              false,
		"/":                                      false,
		"":                                       false,
		"password-reset":                         false,
		"/" + strings.Repeat("a/", 40) + "b%2fc": true, // too many to be sure
	} {
		if _, got := h.mayCover(path); got != want {
			t.Errorf("mayCover(%q) = %v, want %v", path, got, want)
		}
	}
}
