package web

import (
	"slices"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no []string
	}{
		{"/Forgot", []string{"/forgot"}, []string{"/forgot/x", "/forgotten", "/x/forgot", ""}},
		{"/forgot/", []string{"/forgot"}, []string{"/forgot/x"}},
		{"/forgot*", []string{"/forgot", "/forgotten", "/forgot/x/y"}, []string{"/x/forgot", "/forgo"}},
		{"/forgot/*", []string{"/forgot", "/forgot/x/y"}, []string{"/forgotten"}},
		{"*/forgot", []string{"/forgot", "/index.php/forgot"}, []string{"/forgot/x"}},
		{"*forgot*", []string{"/a/forgotten/x"}, []string{"/a"}},
		{"*/forgot/*", []string{"/a/forgot", "/a/forgot/b"}, []string{"/a/forgotten"}},
		{"/users/*/forgot", []string{"/users/1/forgot", "/users/abc/forgot"}, []string{"/users/1/2/forgot", "/users/forgot", "/users/1/forgot/x"}},
		{"/users/*/forgot*", []string{"/users/1/forgot", "/users/1/forgot/2"}, []string{"/users/1/2/forgot"}},
		{"/u*s/*-x/*", []string{"/us/-x/1", "/users/a-x-x/1/2", "/us/a-x"}, []string{"/us/a-y/1"}},
	} {
		parsed, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		match := func(path string) bool {
			return slices.ContainsFunc(parsed, func(p pattern) bool { return p.match([]byte(path)) })
		}
		for _, path := range tt.yes {
			if !match(path) {
				t.Errorf("%s does not match %s", tt.pattern, path)
			}
		}
		for _, path := range tt.no {
			if match(path) {
				t.Errorf("%s matches %s", tt.pattern, path)
			}
		}
	}
}

func TestPatternRefused(t *testing.T) {
	for _, s := range []string{
		"", "*", "**", "/", "/*", "*/*", "/*/*", "forgot", "/a%20b", "/a?b", "/a#b", "/a[b]", "/{x}", `/a\b`,
		"/a;b", "/a//b", "/a/../b", "/./a", "/a b", "/a\x00", "*a*b",
	} {
		if p, err := parsePattern(s); err == nil {
			t.Errorf("%q is accepted as %+v", s, p)
		}
	}
}
