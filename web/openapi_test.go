package web_test

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"go.yaml.in/yaml/v3"
)

// docs/openapi.yaml says what the handler does: every documented answer is
// made, and every answer is as documented.
func TestOpenAPI(t *testing.T) {
	spec := loadSpec(t)
	const good = `{"token":"` + liveToken + `","password":"` + goodPassword + `"}`
	result := func(s reset.Status) *fakeSite {
		return &fakeSite{result: reset.Result{Status: s, Detail: "Needs a digit."}}
	}
	reasons := &fakeSite{resultOf: map[string]error{"Change": &reset.PasswordError{Reasons: []passwords.Reason{
		{Code: passwords.TooShort, Limit: 15},
		{Code: passwords.TooLong, Limit: 72, Bytes: true},
		{Code: passwords.NotText},
		{Code: passwords.Common},
		{Code: passwords.Expected},
	}}}}
	type call struct {
		method, path, target string
		site                 *fakeSite
		body                 string
		want                 int
	}
	calls := []call{
		{"post", "/", "", &fakeSite{}, `{"login":"alice"}`, 202},
		{"post", "/", "", &fakeSite{}, `{"login":""}`, 422},
		{"post", "/code", "/code", &fakeSite{}, `{"login":"alice","code":"` + liveCode + `"}`, 200},
		{"post", "/code", "/code", &fakeSite{}, `{"login":"alice","code":"1"}`, 422},
		{"post", "/new", "/new", &fakeSite{}, good, 200},
		{"post", "/new", "/new", &fakeSite{}, `{"login":"alice","code":"` + liveCode + `","password":"` + goodPassword + `"}`, 200},
		{"post", "/new", "/new", &fakeSite{}, `{"login":"alice","code":"1","password":"x"}`, 422},
		{"post", "/new", "/new", result(reset.StatusPending), good, 202},
		{"post", "/new", "/new", result(reset.StatusSuperseded), good, 409},
		{"post", "/new", "/new", result(reset.StatusGone), good, 410},
		{"post", "/new", "/new", &fakeSite{}, `{"token":"x","password":"x"}`, 410},
		{"post", "/new", "/new", reasons, good, 422},
		{"post", "/new", "/new", result(reset.StatusRefused), good, 422},
		{"post", "/cancel/{token}", "/cancel/" + cancelToken, &fakeSite{}, `{}`, 200},
		{"post", "/cancel/{token}", "/cancel/x", &fakeSite{}, `{}`, 410},
		{"get", "/policy", "/policy", &fakeSite{}, "", 200},
		{"get", "/policy", "/policy", &fakeSite{panics: true}, "", 500},
		{"get", "/policy", "/policy", nil, "", 503},
	}
	for path, target := range map[string]string{"/": "", "/code": "/code", "/new": "/new", "/cancel/{token}": "/cancel/" + cancelToken} {
		whole := `{"login":"a","code":"1","token":"t","password":"p"}`
		calls = append(
			calls,
			call{"post", path, target, &fakeSite{}, `{"login":1}{`, 400},
			call{"post", path, target, &fakeSite{}, "cross-site", 403},
			call{"post", path, target, &fakeSite{}, strings.Repeat(" ", 17<<10), 413},
			call{"post", path, target, &fakeSite{}, "other type", 415},
			call{"post", path, target, &fakeSite{err: &reset.LimitError{RetryAfter: time.Minute}}, whole, 429},
			call{"post", path, target, &fakeSite{panics: true}, whole, 500},
			call{"post", path, target, &fakeSite{err: reset.ErrUnavailable}, whole, 503},
		)
	}
	seen := map[string]bool{}
	for _, c := range calls {
		r := httptest.NewRequest(strings.ToUpper(c.method), "https://app.test/password-reset"+c.target, strings.NewReader(c.body))
		r.Header.Set("Accept", json)
		r.Header.Set("Content-Type", json)
		switch c.body {
		case "cross-site":
			r.Header.Set("Sec-Fetch-Site", c.body)
		case "other type":
			r.Header.Set("Content-Type", "text/plain")
		}
		o := options(c.site)
		if c.site == nil {
			o.Open = func(context.Context) (web.Site, func(), error) { return nil, nil, errors.New("no store") }
		}
		w := visit(t, newHandler(t, o), r)
		name := fmt.Sprintf("%s %s %d", c.method, c.path, c.want)
		seen[name] = true
		if w.Code != c.want {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
			continue
		}
		if err := spec.check(c.method, c.path, w); err != nil {
			t.Errorf("%s: %v\n%s", name, err, w.Body)
		}
	}
	for path, item := range spec.at("paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			for status := range operation.(map[string]any)["responses"].(map[string]any) {
				if name := method + " " + path + " " + status; !seen[name] {
					t.Errorf("%s is documented, but never answered here", name)
				}
			}
		}
	}
}

// A spec is an OpenAPI document; its schemas use no more of JSON Schema than
// valid knows.
type spec struct{ root map[string]any }

func loadSpec(t *testing.T) spec {
	t.Helper()
	b, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var s spec
	if err := yaml.Unmarshal(b, &s.root); err != nil {
		t.Fatal(err)
	}
	if s.root["openapi"] != "3.1.0" {
		t.Fatalf("openapi: %v", s.root["openapi"])
	}
	return s
}

// at walks down from the root, through references.
func (s spec) at(keys ...string) any {
	var v any = s.root
	for _, key := range keys {
		m, _ := s.resolve(v).(map[string]any)
		v = m[key]
	}
	return s.resolve(v)
}

func (s spec) resolve(v any) any {
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return v
	}
	return s.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

func (s spec) check(method, path string, w *httptest.ResponseRecorder) error {
	keys := []string{"paths", path, method, "responses", strconv.Itoa(w.Code)}
	if s.at(keys...) == nil {
		return errors.New("the status is not documented")
	}
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	schema := s.at(append(keys, "content", media, "schema")...)
	if schema == nil {
		return fmt.Errorf("%s is not documented", media)
	}
	headers, _ := s.at(append(keys, "headers")...).(map[string]any)
	for name := range headers {
		if n, err := strconv.Atoi(w.Header().Get(name)); err != nil || n < 1 {
			return fmt.Errorf("%s: %q", name, w.Header().Get(name))
		}
	}
	var body any
	if err := stdjson.Unmarshal(w.Body.Bytes(), &body); err != nil {
		return err
	}
	if m := body.(map[string]any); m["status"] != nil && w.Code >= 400 && m["status"] != float64(w.Code) {
		return fmt.Errorf("status member %v", m["status"])
	}
	return s.valid(schema, body)
}

// valid holds a value against a schema and refuses keywords that it does not
// know, so that none is skipped unseen.
func (s spec) valid(schema, v any) error {
	object, _ := v.(map[string]any)
	rules := s.resolve(schema).(map[string]any)
	for keyword, rule := range rules {
		ok := true
		switch keyword {
		case "description":
		case "type":
			kinds := map[string]reflect.Kind{
				"object": reflect.Map, "array": reflect.Slice, "string": reflect.String,
				"boolean": reflect.Bool, "integer": reflect.Float64,
			}
			ok = reflect.TypeOf(v).Kind() == kinds[rule.(string)]
		case "const":
			ok = v == rule
		case "enum":
			ok = false
			for _, one := range rule.([]any) {
				ok = ok || v == one
			}
		case "minLength":
			ok = utf8.RuneCountInString(v.(string)) >= rule.(int)
		case "maxLength":
			ok = utf8.RuneCountInString(v.(string)) <= rule.(int)
		case "minimum":
			ok = v.(float64) >= float64(rule.(int))
		case "pattern":
			ok = regexp.MustCompile(rule.(string)).MatchString(v.(string))
		case "required":
			for _, name := range rule.([]any) {
				_, has := object[name.(string)]
				ok = ok && has
			}
		case "additionalProperties":
			for name := range object {
				_, has := rules["properties"].(map[string]any)[name]
				ok = ok && has
			}
		case "properties":
			for name, property := range rule.(map[string]any) {
				if member, has := object[name]; has {
					if err := s.valid(property, member); err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
			}
		case "items":
			for _, item := range v.([]any) {
				if err := s.valid(rule, item); err != nil {
					return err
				}
			}
		case "allOf":
			for _, one := range rule.([]any) {
				if err := s.valid(one, v); err != nil {
					return err
				}
			}
		default:
			return fmt.Errorf("the test does not know %q", keyword)
		}
		if !ok {
			return fmt.Errorf("%v fails %s: %v", v, keyword, rule)
		}
	}
	return nil
}
