package web_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCancel(t *testing.T) {
	site := &fakeSite{}
	h := newHandler(t, options(site))
	page := get(t, h, "/password-reset/cancel/"+cancelToken)
	for _, want := range []string{`<form method="post" action="/password-reset/cancel/` + cancelToken + `">`, `data-address="/password-reset/cancel"`} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("no %q on the page", want)
		}
	}
	w := post(t, h, "/password-reset/cancel/"+cancelToken, form, "")
	if w.Code != 200 || strings.Contains(w.Body.String(), "<form") {
		t.Errorf("form: %d", w.Code)
	}
	checkHeaders(t, w)
	w = post(t, h, "/password-reset/cancel/"+cancelToken, json, "{}")
	if w.Code != 200 || w.Body.String() != `{"status":"cancelled"}`+"\n" {
		t.Errorf("JSON: %d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]string{"LookCancel", "Cancel", "Cancel"}, site.calls); diff != "" {
		t.Error(diff)
	}
}
