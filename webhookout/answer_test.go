package webhookout_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

func TestOKAndAlarm(t *testing.T) {
	type answer = webhookout.Answer
	const html = "text/html"
	tests := []struct {
		name      string
		in        answer
		ok, alarm bool
	}{
		{"204", answer{Status: 204}, true, false},
		{"200 empty", answer{Status: 200}, true, false},
		{"200 empty, labelled as HTML", answer{Status: 200, ContentType: html}, true, false},
		{"200 blank", answer{Status: 200, Body: []byte(" \r\n")}, true, false},
		{"201 JSON", answer{Status: 201, Body: []byte(` {"ok":false}`)}, true, false},
		{"200 JSON, labelled as HTML", answer{Status: 200, ContentType: html, Body: []byte(`{}`)}, true, false},
		{"200 HTML", answer{Status: 200, ContentType: html, Body: []byte("<!doctype html>")}, false, true},
		{"200 HTML, labelled as JSON", answer{Status: 200, ContentType: "application/json", Body: []byte("<br />")}, false, true},
		{"200 text", answer{Status: 200, ContentType: "text/plain", Body: []byte("OK")}, false, true},
		{"200 warning before JSON", answer{Status: 200, Body: []byte("Warning: x\n{}")}, false, true},
		{"200 JSON broken off", answer{Status: 200, Body: []byte(`{"a":`), Truncated: true}, true, false},
		{"200 HTML broken off", answer{Status: 200, Body: []byte(`<p>`), Truncated: true}, false, true},
		{"200 nothing came", answer{Status: 200, Truncated: true}, true, false},
		{"200 nothing of HTML came", answer{Status: 200, ContentType: html, Truncated: true}, false, true},
		{"101", answer{Status: 101}, false, true},
		{"302", answer{Status: 302}, false, true},
		{"400", answer{Status: 400}, false, true},
		{"401", answer{Status: 401}, false, true},
		{"403", answer{Status: 403}, false, true},
		{"404", answer{Status: 404}, false, true},
		{"408", answer{Status: 408}, false, false},
		{"409", answer{Status: 409}, false, false},
		{"410", answer{Status: 410}, false, false},
		{"422", answer{Status: 422}, false, false},
		{"425", answer{Status: 425}, false, false},
		{"429", answer{Status: 429}, false, false},
		{"500", answer{Status: 500}, false, false},
		{"503", answer{Status: 503}, false, false},
		{"none", answer{Err: io.EOF}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.OK(); got != tt.ok {
				t.Errorf("OK is %v", got)
			}
			if got := tt.in.Alarm(); got != tt.alarm {
				t.Errorf("Alarm is %v", got)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name, value string
		min, max    time.Duration
	}{
		{"none", "", 0, 0},
		{"seconds", "120", 2 * time.Minute, 2 * time.Minute},
		{"zero", "0", 0, 0},
		{"too long", "86400", 2 * time.Hour, 2 * time.Hour},
		{"longer than a duration", "18446744073709551615", 2 * time.Hour, 2 * time.Hour},
		{"longer than a number", "99999999999999999999999", 0, 0},
		{"negative", "-5", 0, 0},
		{"fraction", "1.5", 0, 0},
		{"date", time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat), 9 * time.Minute, 10 * time.Minute},
		{"date that has passed", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 0, 0},
		{"date too far", time.Now().Add(1000 * time.Hour).UTC().Format(http.TimeFormat), 2 * time.Hour, 2 * time.Hour},
		{"text", "soon", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tt.value != "" {
					w.Header().Set("Retry-After", tt.value)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			}))
			defer server.Close()
			a := newClient(t, webhookout.Options{URL: server.URL}).Post(context.Background(), message)
			if a.RetryAfter < tt.min || a.RetryAfter > tt.max {
				t.Errorf("got %s, want %s to %s", a.RetryAfter, tt.min, tt.max)
			}
		})
	}
}
