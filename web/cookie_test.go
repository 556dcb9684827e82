package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCookie(t *testing.T) {
	key, other := [32]byte{1}, [32]byte{2}
	longest := strings.Repeat("\U0001F600", 254)
	synctest.Test(t, func(t *testing.T) {
		j := newCookieJar(true)
		var size int
		for _, login := range []string{"", "a", "alice@example.com", longest} {
			want := note{login: login, reference: "R-1234"}
			w := httptest.NewRecorder()
			j.put(w, key, want)
			line := w.Header().Get("Set-Cookie")
			if size == 0 {
				size = len(line)
			}
			if len(line) != size {
				t.Errorf("%d bytes for a login of %d, %d for the first", len(line), len(login), size)
			}
			if len(line) >= 4096 {
				t.Errorf("%d bytes are too many for a browser", len(line))
			}
			r := requestWith(w.Result().Cookies()...)
			if got := j.get(r, key); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := j.get(r, other); got != (note{}) {
				t.Errorf("another key reads %q", got)
			}
			if got := newCookieJar(false).get(r, key); got != (note{}) {
				t.Errorf("another name reads %q", got)
			}
			time.Sleep(cookieLife - time.Second)
			if got := j.get(r, key); got != want {
				t.Errorf("a second before its end: %q", got)
			}
			time.Sleep(time.Second)
			if got := j.get(r, key); got != (note{}) {
				t.Errorf("past its end: %q", got)
			}
		}
	})
}

func TestCookieHostile(t *testing.T) {
	j, key := newCookieJar(true), [32]byte{1}
	w := httptest.NewRecorder()
	j.put(w, key, note{login: "alice"})
	good := w.Result().Cookies()[0]
	changed := []byte(good.Value)
	changed[100] ^= 1
	for name, r := range map[string]*http.Request{
		"none":      requestWith(),
		"twice":     requestWith(good, good),
		"tossed":    requestWith(good, &http.Cookie{Name: j.name, Value: "x"}),
		"changed":   requestWith(&http.Cookie{Name: j.name, Value: string(changed)}),
		"cut":       requestWith(&http.Cookie{Name: j.name, Value: good.Value[:50]}),
		"empty":     requestWith(&http.Cookie{Name: j.name}),
		"no base64": requestWith(&http.Cookie{Name: j.name, Value: strings.Repeat("*", len(good.Value))}),
	} {
		if got := j.get(r, key); got != (note{}) {
			t.Errorf("%s: reads %q", name, got)
		}
	}
}

func TestCookieAttributes(t *testing.T) {
	for https, want := range map[bool]string{
		true:  "; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax",
		false: "; Path=/; Max-Age=900; HttpOnly; SameSite=Lax",
	} {
		w := httptest.NewRecorder()
		newCookieJar(https).put(w, [32]byte{}, note{})
		line := w.Header().Get("Set-Cookie")
		if _, rest, _ := strings.Cut(line, ";"); ";"+rest != want {
			t.Errorf("https %v: %q, want %q", https, ";"+rest, want)
		}
		if strings.HasPrefix(line, "__Host-") != https {
			t.Errorf("https %v: name of %.30s", https, line)
		}
	}
}

// FuzzCookie holds that a cookie gives back what was put in, and that nothing
// else in its place is read, however it was made of a good one.
func FuzzCookie(f *testing.F) {
	f.Add("alice@example.com", "BCDF-2345", 100, byte(1), "; password-reset=x")
	f.Add(strings.Repeat("\U0001F600", 254), "", 0, byte(0), "")
	f.Add("", "a", 1500, byte(0x80), "=")
	f.Add("\xff\x00", "\r\n", -1, byte(7), " a=b; password-reset")
	j, key := newCookieJar(false), [32]byte{1}
	f.Fuzz(func(t *testing.T, login, reference string, at int, flip byte, more string) {
		w := httptest.NewRecorder()
		j.put(w, key, note{login, reference})
		good := w.Result().Cookies()[0]
		want := note{login, reference}
		if len(login) > maxCookieLogin || len(reference) > maxCookieReference {
			want = note{}
		}
		if got := j.get(requestWith(good), key); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		b := []byte(good.Value)
		b[uint(at)%uint(len(b))] ^= flip
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", j.name+"="+string(b)+more)
		if got := j.get(r, key); got != (note{}) && got != want {
			t.Errorf("reads %q", got)
		}
		r.Header.Set("Cookie", more)
		if got := j.get(r, key); got != (note{}) {
			t.Errorf("%q is read as %q", more, got)
		}
	})
}

func requestWith(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}
