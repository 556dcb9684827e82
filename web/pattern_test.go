package web

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
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

// FuzzPattern compares with a regular expression: a star within stands for
// anything but a slash, one at an end for all, and a slash at the end for
// nothing.
func FuzzPattern(f *testing.F) {
	f.Add("/users/*/forgot*", "/users/1/forgot/2")
	f.Add("/u*s/*-x/*", "/users/a-x-x/1/2")
	f.Add("*/forgot/*", "/a/forgot")
	f.Add("/a*a*a*a*b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Add("/Forgot/", "/forgot")
	f.Fuzz(func(t *testing.T, text, path string) {
		parsed, err := parsePattern(text)
		if err != nil || !utf8.ValidString(text) {
			return // regexp takes no other text
		}
		reading, _, _ := clean(nil, path)
		got := slices.ContainsFunc(parsed, func(p pattern) bool { return p.match(reading) })
		if want := expression(text).Match(reading); got != want {
			t.Errorf("%q matches %q: %v, want %v", text, reading, got, want)
		}
	})
}

// expression puts a pattern in other words.
func expression(text string) *regexp.Regexp {
	text = string(fold([]byte(text)))
	text, front := strings.CutPrefix(text, "*")
	text, back := strings.CutSuffix(text, "*")
	whole, slash := strings.CutSuffix(text, "/")
	b := strings.ReplaceAll(regexp.QuoteMeta(whole), `\*`, "[^/]*")
	switch {
	case back && slash:
		b += "(/.*)?"
	case back:
		b += ".*"
	}
	if front {
		b = ".*" + b
	}
	return regexp.MustCompile("(?s)^" + b + "$")
}
