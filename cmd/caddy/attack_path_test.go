package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Paths that the app must never see: its own reset pages, which are taken over,
// ours, and those of the dialects.
var (
	takenOver = []string{"/forgot-password", "/forgot-password/edit", "/signin/lost-key"}
	ourOwn    = []string{surface, surface + "/new", surface + "/link/" + strings.Repeat("a", 64)}
	spoken    = []string{
		"/v2/app/reset/user/bob", "/user/bob/password/reset", "/user/password/reset/token", "/user/password/reset/token.json",
		"/users/password", "/devices", "/api/User/authreset",
	}
)

var methods = []string{"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT", "BREW", "get", "post"}

// However a path is written that some server could read as a reset page of the
// app, as one of ours or as a call in a dialect, the app never sees it. What
// is refused of a dialect is refused in JSON, which is all that its clients
// can read.
func TestTrialAttackPath(t *testing.T) {
	t.Parallel()
	s := besiege(t, "paths that lead around us", people(1), func(s *siege) {
		s.amend("\t\ttake_over /forgot-password*", "\t\ttake_over /forgot-password* /signin/lost-key")
		s.backend.judge = func(w http.ResponseWriter, _ string, h hookEvent) bool {
			if h.Data.Login != "keeper" {
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `{"accounts":[]}`)
			}
			return h.Data.Login != "keeper"
		}
	})
	type try struct {
		target     string
		json, page bool // what may be answered
	}
	var tries []try
	for _, path := range slices.Concat(takenOver, ourOwn, spoken) {
		isSpoken := slices.Contains(spoken, path)
		for _, target := range spellings(path) {
			// People open BaasBox's link, and a target without a slash is of no
			// dialect.
			tries = append(tries, try{target, isSpoken && target[0] == '/', strings.HasPrefix(path, "/user/password/reset/")})
		}
	}
	for _, target := range []string{"x:hooks/lookup", "x:%2fhooks/lookup"} {
		tries = append(tries, try{target: target})
	}
	chance := s.tr.Rand(0)
	all := slices.Concat(takenOver, ourOwn, spoken)
	for range s.tr.Size(400, 20000) {
		tries = append(tries, try{target: misspell(chance, all[chance.IntN(len(all))])})
	}
	s.each(len(tries), func(i int) {
		try := tries[i]
		tried := methods[:2]
		if i%3 == 0 {
			tried = []string{methods[i/3%len(methods)]}
		}
		for _, method := range tried {
			if method == "CONNECT" && try.target[0] != '/' {
				continue // the name of a host
			}
			r, ok := s.hit(s.raw(method, try.target, "", s.visitor()...))
			// An app of another kind might take what this one's server refuses.
			if ok && r.Header.Get("Via") != "" {
				s.tr.Violation("%s %s was passed on", method, try.target)
			}
			if !ok || !try.json || r.Header.Get("Server") != "Caddy" || method == "HEAD" {
				continue
			}
			isJSON := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && json.Valid([]byte(r.Body))
			isPage := try.page && r.Header.Get("Content-Type") == "text/html; charset=utf-8"
			if r.Status >= 400 && !isJSON && !isPage {
				s.tr.Violation("%s %s: status %d with %q", method, try.target, r.Status, r.Body)
			}
			if r.Status >= 300 && r.Status < 400 {
				s.tr.Violation("%s %s leads to %s", method, try.target, r.Header.Get("Location"))
			}
		}
	})
	for _, request := range s.backend.seen() {
		s.tr.Violation("the app saw %s", request)
	}
	s.inPaths = true
	s.lift()

	// What is nobody's but the app's still is.
	for _, target := range []string{
		"/forgotten", "/signin/lost-keys", "/password-resetter", "/user/bob", "/users", "/users/password-hints", "/devices/current", "/api/User/authpsw", "/v2/app/users", "/user",
	} {
		s.do("GET", target, "")
		if !slices.Contains(s.backend.seen(), "GET "+target) {
			t.Errorf("the app did not see its own %s", target)
		}
	}
}

// spellings are the ways that lenient servers are known to read as a path.
func spellings(path string) []string {
	first, rest, _ := strings.Cut(path[1:], "/")
	last := path[strings.LastIndexByte(path, '/')+1:]
	before := strings.TrimSuffix(path, last)
	all := []string{
		path, path + "?x=1", path + "?", path + "/", path + "//", "/" + path, "/." + path, "/x/.." + path, "/x/..%2f" + path[1:], "/x%2f.." + path, "/x;y/.." + path,
		"/..;" + path, ";" + path, "/;" + path, "/x;" + path, path + ";jsessionid=1", strings.ToUpper(path), strings.ToLower(path), `/x\..` + path, `/x\..\` + path[1:],
		before + "/" + last, before + "./" + last, before + "x/../" + last, before + "x/..;/" + last, before + `x\..\` + last, before + "x%2f..%2f" + last, before + "x%5c..%5c" + last,
		"/%" + hexOf(first[0]) + first[1:] + strings.TrimPrefix(path, "/"+first), before + "%" + hexOf(last[0]) + last[1:], before + "%25" + hexOf(last[0]) + last[1:],
		path + "%00", path + "%20", path + "%2520", path + "/%20", path + "/x/..%20", path + ".", before + "x/../" + last + "%00/y", before + "x/../" + last + "#y", path + "%2f", path + "%2f..", path + "/.", path + "/%2e%2e/" + last, strings.ReplaceAll(path, "/", `\`), "/" + strings.ReplaceAll(path[1:], "/", `\`),
		strings.ReplaceAll(path, "s", "%C5%BF"), strings.ReplaceAll(path, "k", "%E2%84%AA"), strings.ReplaceAll(path, "i", "%C4%B1"), strings.ReplaceAll(path, "i", "%C4%B0"),
		"x:" + path[1:], "x:%2f" + path[1:], "http:" + path[1:], "http:%2f" + path[1:], "http://evil.test" + path, "http://evil.test//" + strings.ToUpper(path),
	}
	if rest != "" {
		all = append(all, "/"+first+";x/"+rest, "/"+first+"%2f"+rest, "/"+first+"%252f"+rest)
	}
	return all
}

// misspell writes a path in a way that undoes one to three habits of a server,
// in any order: it decodes escapes, drops case, parameters and needless slashes
// and dots, takes backslashes for slashes, or stops at a control.
func misspell(chance *rand.Rand, path string) string {
	pick := func(from ...string) string { return from[chance.IntN(len(from))] }
	// at returns a place behind a slash, or the end of a segment.
	at := func(end bool) int {
		var places []int
		for i := range len(path) {
			switch {
			case end && i > 0 && path[i] == '/':
				places = append(places, i)
			case !end && path[i] == '/':
				places = append(places, i+1)
			}
		}
		if end || len(places) == 0 {
			places = append(places, len(path))
		}
		return places[chance.IntN(len(places))]
	}
	insert := func(i int, text string) { path = path[:i] + text + path[i:] }
	escaped := false
	for range 1 + chance.IntN(3) {
		switch chance.IntN(9) {
		case 0:
			b := []byte(path)
			for i, c := range b {
				if chance.IntN(3) == 0 && ('a' <= c && c <= 'z') {
					b[i] = c - 'a' + 'A'
				}
			}
			path = string(b)
		case 1, 2:
			// Nobody decodes more than three times.
			i := 1 + chance.IntN(len(path)-1)
			if escaped || strings.Contains(path[max(0, i-2):i+1], "%") {
				continue
			}
			escaped = true
			path = path[:i] + fmt.Sprintf(pick("%%%02x", "%%%02X", "%%25%02x", "%%2525%02x"), path[i]) + path[i+1:]
		case 3:
			insert(at(false), pick("./", "x/../", "x/y/../../", "%2e/", "x/%2E%2e/"))
		case 4:
			insert(at(false), pick("/", "//"))
		case 5:
			insert(at(true), pick(";", ";x", ";x=1,2", ";%2f"))
		case 6:
			if i := at(false); i > 1 {
				path = path[:i-1] + pick(`\`, "%5c", "%5C", "%2f", "%2F") + path[i:]
			}
		case 7:
			if strings.HasSuffix(path, ".") {
				continue // three dots are a name, to every server
			}
			path += pick("/", "//", "/.", "/x/..", "%00", "%00.html", "%0d%0a", "%20", ".", "%3fx", "%23x", "?x", "#x")
		case 8:
			path = pick("/x/..", "/.", "/", "//", "/..;", "/;", "/x;y/..", "/%2e", "/x%2f..") + path
		}
	}
	if chance.IntN(10) == 0 && path[0] == '/' && path[1] != '/' {
		path = pick("http://evil.test", "http://127.0.0.1", "x:", "HTTP://EVIL.TEST:1") + path
	}
	return path
}

func hexOf(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}
