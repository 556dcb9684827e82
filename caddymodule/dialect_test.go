package caddymodule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// A tongue is a dialect with an option of each kind.
type tongue struct {
	Path    string   `json:"path,omitempty" usage:"path /v1"`
	Keys    []string `json:"key,omitempty" usage:"key {env.KEY}" secret:"true"`
	Retries int      `json:"retries,omitempty" usage:"retries 3"`
	Lenient bool     `json:"lenient,omitempty" usage:"lenient"`
	Colour  colour   `json:"colour,omitempty" usage:"colour red"`
	Origins []string `json:"origins,omitempty" usage:"origins *"`

	opened string
}

// A colour is red or blue.
type colour int

func (c *colour) UnmarshalText(text []byte) error {
	switch string(text) {
	case "red":
		*c = 1
	case "blue":
		*c = 2
	default:
		return errors.New("it is red or blue")
	}
	return nil
}

func (*tongue) Check() error { return nil }

func (*tongue) Open(string) ([]web.Endpoint, error) { return nil, nil }

func (*tongue) Fail(*web.Call, web.Fault) {}

// everywhere is what all tongues have as Origins, as a careless vendor does it.
var everywhere = []string{"*", "*"}

func newTongue() *tongue { return &tongue{Path: "/v1", Origins: everywhere} }

var ignoreOpened = cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "opened" }, cmp.Ignore())

// TestDialectOptions holds each kind of option: what is written, that it stays
// as it was written, and what it becomes.
func TestDialectOptions(t *testing.T) {
	t.Setenv("TONGUE", "blue")
	for _, tt := range []struct {
		name, block string
		written     string
		want        tongue
	}{
		{"none", "", `{}`, tongue{Path: "/v1", Origins: []string{"*", "*"}}},
		{"text", "path /v2", `{"path":"/v2"}`, tongue{Path: "/v2", Origins: []string{"*", "*"}}},
		{"quoted", `path "a b"`, `{"path":"a b"}`, tongue{Path: "a b", Origins: []string{"*", "*"}}},
		{"the default", "path /v1", `{"path":"/v1"}`, tongue{Path: "/v1", Origins: []string{"*", "*"}}},
		{"number", "retries -2", `{"retries":-2}`, tongue{Path: "/v1", Retries: -2, Origins: []string{"*", "*"}}},
		{"flag", "lenient", `{"lenient":true}`, tongue{Path: "/v1", Lenient: true, Origins: []string{"*", "*"}}},
		{"its own kind", "colour red", `{"colour":"red"}`, tongue{Path: "/v1", Colour: 1, Origins: []string{"*", "*"}}},
		{"list", "origins a b\norigins c", `{"origins":["a","b","c"]}`, tongue{Path: "/v1", Origins: []string{"a", "b", "c"}}},
		{
			"placeholders", "path /{env.TONGUE}\ncolour {env.TONGUE}\norigins a {env.TONGUE}\nkey {env.TONGUE} k",
			`{"colour":"{env.TONGUE}","key":["{env.TONGUE}","k"],"origins":["a","{env.TONGUE}"],"path":"/{env.TONGUE}"}`,
			tongue{Path: "/blue", Colour: 2, Origins: []string{"a", "blue"}, Keys: []string{"blue", "k"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			written, _, err := caddymodule.ReadDialect(newTongue(), dispenser(t, "dialect {\n"+tt.block+"\n}"))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(written)
			if err != nil || string(raw) != tt.written {
				t.Errorf("kept is %s, %v, want %s", raw, err, tt.written)
			}
			got := newTongue()
			if err := caddymodule.FillDialect(got, raw, quiet); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got, ignoreOpened); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff([]string{"*", "*"}, everywhere); diff != "" {
		t.Errorf("one dialect has changed the default of all (-want +got)\n%s", diff)
	}
}

func TestDialectOptionsRefused(t *testing.T) {
	for _, tt := range []struct{ block, want string }{
		{"pth /v2", "unknown option `pth`; there are: colour, key, lenient, origins, path, retries, at Caddyfile:2"},
		{"opened yes", "unknown option `opened`"},
		{"Path /v2", "unknown option `Path`"},
		{"path", "`path` lacks its value; write `path /v1`, at Caddyfile:2"},
		{"path a b", "`b` is one word too many; write `path /v1`, at Caddyfile:2"},
		{"path a\npath b", "`path` was already given on line 2; keep one of the two, at Caddyfile:3"},
		{"lenient yes", "`yes` is one word too many; write `lenient`, at Caddyfile:2"},
		{"lenient\nlenient", "`lenient` was already given on line 2"},
		{"retries", "`retries` lacks its value; write `retries 3`"},
		{"retries many", "`retries` is a whole number, not \"many\"; write `retries 3`, at Caddyfile:2"},
		{"retries 1.5", "`retries` is a whole number"},
		{"retries 99999999999999999999", "`retries` is a whole number"},
		{"colour green", "colour: it is red or blue, at Caddyfile:2"},
		{"origins", "`origins` lacks its value; write `origins *`"},
		{"origins a \"\"", "the value of `origins` is empty"},
		{"key", "`key` lacks its value; write `key {env.KEY}`"},
		{"path a {\n}", "`path` takes no block"},
	} {
		_, _, err := caddymodule.ReadDialect(newTongue(), dispenser(t, "dialect {\n"+tt.block+"\n}"))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.block, err, tt.want)
		}
	}
}

// TestDialectInJSON holds what JSON that no Caddyfile was made of is told.
func TestDialectInJSON(t *testing.T) {
	for raw, want := range map[string]string{
		`{"pth":"/v2"}`:                 "unknown option `pth`; there are: colour, key, lenient, origins, path, retries",
		`{"PATH":"/v2"}`:                "unknown option `PATH`",
		`{"opened":"/v2"}`:              "unknown option `opened`",
		`{"path":5}`:                    "path: json: cannot unmarshal number",
		`{"key":"canary"}`:              "key: json: cannot unmarshal string",
		`{"key":[{"canary":"canary"}]}`: "key: json: cannot unmarshal object",
		`{"key":["hunter{canary}"]}`:    "key: is neither a plain secret",
		`{"key":["{env.UNSET}"]}`:       "key: ",
		`{"retries":"3"}`:               "retries: json: cannot unmarshal string",
		`{"lenient":"on"}`:              "lenient: json: cannot unmarshal string",
		`{"colour":"green"}`:            "colour: it is red or blue",
		`{"colour":"{env.UNSET}"}`:      "colour: ",
		`{"path":"{env.UNSET}"}`:        "path: ",
		`{"origins":["{env.UNSET}"]}`:   "origins: ",
		`["path"]`:                      "reading options: json: cannot unmarshal array",
		`"path"`:                        "reading options: json: cannot unmarshal string",
	} {
		err := caddymodule.FillDialect(newTongue(), json.RawMessage(raw), quiet)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a secret in: %v", raw, err)
		}
	}
	for _, raw := range []string{`{}`, `null`, `{"path":null,"key":null,"origins":null,"retries":null,"lenient":null,"colour":null}`} {
		got := newTongue()
		if err := caddymodule.FillDialect(got, json.RawMessage(raw), quiet); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(newTongue(), got, ignoreOpened); diff != "" {
			t.Errorf("%s: not the defaults (-want +got)\n%s", raw, diff)
		}
	}
}

// An option of a kind that nothing can read is a fault of the vendor's file.
func TestDialectOfAnotherKind(t *testing.T) {
	type odd struct {
		tongue
		Share float64 `json:"share,omitempty" usage:"share 0.5"`
	}
	defer func() {
		if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "share") {
			t.Errorf("recovered %v", v)
		}
	}()
	_ = caddymodule.FillDialect(new(odd), json.RawMessage(`{"share":0.5}`), quiet)
	t.Error("it was taken")
}

// TestEveryOptionIsAdapted holds that each option of each vendor stands in a
// golden file, by which all of them are read.
func TestEveryOptionIsAdapted(t *testing.T) {
	for _, name := range dialect.Names() {
		golden, err := os.ReadFile("testdata/adapt/dialect_" + name + ".txt")
		if err != nil {
			t.Error(err)
			continue
		}
		_, adapted, _ := strings.Cut(string(golden), separator)
		options := reflect.TypeOf(dialect.New(name)).Elem()
		for n := range options.NumField() {
			f := options.Field(n)
			option, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.IsExported() && !strings.Contains(adapted, `"`+option+`":`) {
				t.Errorf("no %s of %s", option, name)
			}
		}
	}
}

// TestNoVendorIsNamed holds that only package web/dialect knows the vendors.
func TestNoVendorIsNamed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range dialect.Names() {
			if strings.Contains(strings.ToLower(string(source)), name) {
				t.Errorf("%s names %s", file, name)
			}
		}
	}
}

var quiet = slog.New(slog.DiscardHandler)

// dispenser gives the tokens of a piece of a Caddyfile.
func dispenser(t *testing.T, text string) *caddyfile.Dispenser {
	t.Helper()
	tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	return caddyfile.NewDispenser(tokens)
}
