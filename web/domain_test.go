package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// What the domain says comes to the dialect as it is, but for limits at a
// start. What is not of the domain is a fault of ours, and is logged.
func TestErrorsOfTheSite(t *testing.T) {
	limit := &reset.LimitError{RetryAfter: time.Minute}
	weak := &reset.PasswordError{}
	foreign := errors.New("a foreign fault")
	do := map[string]func(*web.Call) error{
		"Request": func(c *web.Call) error { _, err := c.Start(web.Start{Login: "alice"}); return err },
		"Find": func(c *web.Call) error {
			c.Trust()
			_, err := c.Start(web.Start{Login: "alice", Reveal: true})
			return err
		},
		"Look":   func(c *web.Call) error { _, err := c.Look(liveToken); return err },
		"Code":   func(c *web.Call) error { _, err := c.Code("alice", liveCode); return err },
		"Change": func(c *web.Call) error { _, err := c.Change(liveToken, goodPassword); return err },
	}
	for _, tt := range []struct {
		method    string
		err, want error
		logged    bool
	}{
		{"Request", limit, nil, false},
		{"Request", fmt.Errorf("asking: %w", limit), nil, false},
		{"Request", reset.ErrLogin, reset.ErrLogin, false},
		{"Request", reset.ErrWords, reset.ErrWords, false},
		{"Request", reset.ErrUnavailable, reset.ErrUnavailable, false},
		{"Request", foreign, reset.ErrUnavailable, true},
		{"Find", reset.ErrLogin, reset.ErrLogin, false},
		{"Find", foreign, reset.ErrUnavailable, true},
		{"Look", reset.ErrGrant, reset.ErrGrant, false},
		{"Look", limit, limit, false},
		{"Look", foreign, reset.ErrUnavailable, true},
		{"Code", reset.ErrCode, reset.ErrCode, false},
		{"Code", reset.ErrLogin, reset.ErrCode, false},
		{"Code", limit, limit, false},
		{"Code", foreign, reset.ErrUnavailable, true},
		{"Change", reset.ErrGrant, reset.ErrGrant, false},
		{"Change", weak, weak, false},
		{"Change", fmt.Errorf("%w: %w", reset.ErrUnavailable, foreign), reset.ErrUnavailable, false},
		{"Change", foreign, reset.ErrUnavailable, true},
	} {
		var log bytes.Buffer
		o, _ := speaking(&fakeSite{resultOf: map[string]error{tt.method: tt.err}}, theirs, func(c *web.Call) {
			c.Trust()
			for range 3 {
				err := do[tt.method](c)
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || errors.Is(err, foreign) && tt.logged {
					t.Errorf("%s, %v: got %v", tt.method, tt.err, err)
				}
			}
			done(c)
		})
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		get(t, newHandler(t, o), "/theirs/x")
		if n := strings.Count(log.String(), foreign.Error()); n != map[bool]int{true: 1}[tt.logged] {
			t.Errorf("%s, %v: logged %d times", tt.method, tt.err, n)
		}
	}
}

// While the domain does not open, every method says so, once in the log, and
// our pages answer as ever.
func TestCallWhileUnavailable(t *testing.T) {
	var log bytes.Buffer
	o, _ := speaking(&fakeSite{}, theirs, func(c *web.Call) {
		c.Trust()
		_, errStart := c.Start(web.Start{Login: "alice"})
		_, errFind := c.Start(web.Start{Login: "alice", Reveal: true})
		_, errLook := c.Look(liveToken)
		_, errCode := c.Code("alice", liveCode)
		_, errChange := c.Change(liveToken, goodPassword)
		_, errKey := c.Key("any")
		for i, err := range []error{errStart, errFind, errLook, errCode, errChange, errKey} {
			if err != reset.ErrUnavailable {
				t.Errorf("method %d: %v", i, err)
			}
		}
		if c.Param("x") == "submit" {
			c.Submit(liveToken, goodPassword, goodPassword)
		} else {
			c.Follow(liveToken)
		}
	})
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	o.Open = func(context.Context) (web.Site, func(), error) { return nil, nil, errors.New("no store") }
	h := newHandler(t, o)
	for _, path := range []string{"/theirs/follow", "/theirs/submit"} {
		if w := get(t, h, path); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if n := strings.Count(log.String(), "no store"); n != 1 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

// The domain is taken when it is needed, once, and given back once, whatever
// happens.
func TestDomainIsReleased(t *testing.T) {
	start := func(c *web.Call) { _, _ = c.Start(web.Start{Login: "alice"}) }
	for _, tt := range []struct {
		name   string
		do     func(*web.Call)
		fail   func(*web.Call, web.Fault)
		status int
		opened int
	}{
		{"not needed", done, nil, 204, 0},
		{"needed twice", func(c *web.Call) { start(c); start(c); done(c) }, nil, 204, 1},
		{"a page of ours", func(c *web.Call) { start(c); c.Follow(liveToken) }, nil, 200, 1},
		{"panic before", func(*web.Call) { panic(liveToken) }, nil, 418, 0},
		{"panic after", func(c *web.Call) { start(c); panic(liveToken) }, nil, 418, 1},
		{"panic after the answer", func(c *web.Call) { start(c); done(c); panic(liveToken) }, nil, 204, 1},
		{"no answer", start, nil, 418, 1},
		{"panic, and again", func(c *web.Call) { start(c); panic(liveToken) }, func(*web.Call, web.Fault) { panic(liveToken) }, 500, 1},
		{"panic, and no answer", func(c *web.Call) { start(c); panic(liveToken) }, func(*web.Call, web.Fault) {}, 500, 1},
		{"no answer, and a key for it", start, func(c *web.Call, f web.Fault) {
			if _, err := c.Key("any"); err != nil || f != web.FaultInternal {
				t.Errorf("%s: no key: %v", f, err)
			}
			c.Answer(418, vendorMedia, nil)
		}, 418, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			site := &fakeSite{}
			opened, released := 0, 0
			o, v := speaking(site, theirs, tt.do)
			v.fail = tt.fail
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			o.Open = func(context.Context) (web.Site, func(), error) {
				opened++
				return keyed{site, func() bool { return released == 0 }}, func() { released++ }, nil
			}
			w := get(t, newHandler(t, o), "/theirs/x")
			if w.Code != tt.status || opened != tt.opened || released != opened {
				t.Errorf("%d, opened %d times, released %d times", w.Code, opened, released)
			}
			if strings.Contains(log.String(), liveToken) || w.Code != 200 && strings.Contains(w.Body.String(), liveToken) {
				t.Errorf("log or answer quote the panic:\n%s\n%s", log.String(), w.Body)
			}
			if strings.Contains(tt.name, "panic") != strings.Contains(log.String(), "msg=\"panic while answering") && !strings.Contains(tt.name, "no answer") {
				t.Errorf("log:\n%s", log.String())
			}
			if tt.status == 204 && len(v.faults) > 0 {
				t.Errorf("answered twice: %q", v.faults)
			}
			checkSecurity(t, w)
		})
	}
}

// keyed is a site that may not be asked once it was given back.
type keyed struct {
	*fakeSite
	held func() bool
}

func (k keyed) Key(purpose string) [32]byte {
	if !k.held() {
		panic("it was given back")
	}
	return k.fakeSite.Key(purpose)
}

// A panic of the domain becomes the vendor's own answer.
func TestPanicInADialect(t *testing.T) {
	o, v := speaking(&fakeSite{panics: true}, theirs, func(c *web.Call) {
		c.Header().Set("Cache-Control", "public")
		_, _ = c.Start(web.Start{Login: "alice"})
	})
	w := get(t, newHandler(t, o), "/theirs/x")
	if w.Code != http.StatusTeapot || w.Body.String() != "fault internal" || !slices.Equal(v.faults, []web.Fault{web.FaultInternal}) {
		t.Errorf("%d %s, %q", w.Code, w.Body, v.faults)
	}
	checkHeaders(t, w)
}
