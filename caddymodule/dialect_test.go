package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// A tongue is a dialect with an option of each kind.
type tongue struct {
	Path    string        `json:"path,omitempty" usage:"path /v1"`
	Keys    []string      `json:"key,omitempty" usage:"key {env.KEY}" secret:"true"`
	Lenient bool          `json:"lenient,omitempty" usage:"lenient"`
	Life    time.Duration `json:"life,omitempty" usage:"life 15m"`
	Origins []string      `json:"origins,omitempty" usage:"origins *"`

	opened string
}

func (*tongue) Check() error { return nil }

func (*tongue) Open() (web.Contract, error) { return web.Contract{}, nil }

func (*tongue) Fail(*web.Call, web.Fault) {}

// everywhere is what all tongues have as Origins, as a careless vendor does it.
var everywhere = []string{"*", "*"}

func newTongue() *tongue {
	return &tongue{Path: "/v1", Origins: everywhere, opened: "never by an option"}
}

var ignoreOpened = cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "opened" }, cmp.Ignore())

// TestDialectOptions holds each kind of option: what is written, that it stays
// as it was written, and what it becomes.
func TestDialectOptions(t *testing.T) {
	t.Setenv("TONGUE", "blue")
	t.Setenv("HOURS", "2")
	for _, tt := range []struct {
		name, block string
		written     string
		want        tongue
	}{
		{"none", "", `{}`, tongue{Path: "/v1", Origins: []string{"*", "*"}}},
		{"text", "path /v2", `{"path":"/v2"}`, tongue{Path: "/v2", Origins: []string{"*", "*"}}},
		{"quoted", `path "a b"`, `{"path":"a b"}`, tongue{Path: "a b", Origins: []string{"*", "*"}}},
		{"the default", "path /v1", `{"path":"/v1"}`, tongue{Path: "/v1", Origins: []string{"*", "*"}}},
		{"flag", "lenient", `{"lenient":true}`, tongue{Path: "/v1", Lenient: true, Origins: []string{"*", "*"}}},
		{"span of time", "life 1h30m", `{"life":"1h30m"}`, tongue{Path: "/v1", Life: 90 * time.Minute, Origins: []string{"*", "*"}}},
		{"days", "life 1d", `{"life":"1d"}`, tongue{Path: "/v1", Life: 24 * time.Hour, Origins: []string{"*", "*"}}},
		{"list", "origins a b\norigins c", `{"origins":["a","b","c"]}`, tongue{Path: "/v1", Origins: []string{"a", "b", "c"}}},
		{
			"placeholders", "path /{env.TONGUE}\nlife {env.HOURS}h\norigins a {env.TONGUE}\nkey {env.TONGUE} k",
			`{"key":["{env.TONGUE}","k"],"life":"{env.HOURS}h","origins":["a","{env.TONGUE}"],"path":"/{env.TONGUE}"}`,
			tongue{Path: "/blue", Life: 2 * time.Hour, Origins: []string{"a", "blue"}, Keys: []string{"blue", "k"}},
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
		{"pth /v2", "unknown option `pth`; there are: key, lenient, life, origins, path, at Caddyfile:2"},
		{"opened yes", "unknown option `opened`"},
		{"Path /v2", "unknown option `Path`"},
		{"path", "`path` lacks its value; write `path /v1`, at Caddyfile:2"},
		{"path a b", "`b` is one word too many; write `path /v1`, at Caddyfile:2"},
		{"path a\npath b", "`path` was already given on line 2; keep one of the two, at Caddyfile:3"},
		{"lenient yes", "`yes` is one word too many; write `lenient`, at Caddyfile:2"},
		{"lenient\nlenient", "`lenient` was already given on line 2"},
		{"life", "`life` lacks its value; write `life 15m`"},
		{"life long", "`life` is a span of time above zero, not \"long\"; write `life 15m`, at Caddyfile:2"},
		{"life 15", "`life` is a span of time above zero, not \"15\""},
		{"life 0s", "`life` is a span of time above zero, not \"0s\""},
		{"life -1h", "`life` is a span of time above zero, not \"-1h\""},
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
		`{"pth":"/v2"}`:                 "unknown option `pth`; there are: key, lenient, life, origins, path",
		`{"PATH":"/v2"}`:                "unknown option `PATH`",
		`{"opened":"/v2"}`:              "unknown option `opened`",
		`{"path":5}`:                    "path: json: cannot unmarshal number",
		`{"key":"canary"}`:              "key: json: cannot unmarshal string",
		`{"key":[{"canary":"canary"}]}`: "key: json: cannot unmarshal object",
		`{"key":["hunter{canary}"]}`:    "key: is neither a plain secret",
		`{"key":["{env.UNSET}"]}`:       "key: ",
		`{"lenient":"on"}`:              "lenient: json: cannot unmarshal string",
		`{"life":"long"}`:               "life: it is a span of time above zero, such as 15m",
		`{"life":""}`:                   "life: it is a span of time above zero",
		`{"life":"0s"}`:                 "life: it is a span of time above zero",
		`{"life":0}`:                    "life: it is a span of time above zero",
		`{"life":-1}`:                   "life: it is a span of time above zero",
		`{"life":1.5}`:                  "life: json: cannot unmarshal number",
		`{"life":true}`:                 "life: json: cannot unmarshal bool",
		`{"life":"{env.UNSET}"}`:        "life: ",
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
	for _, raw := range []string{`{}`, `null`, `{"path":null,"key":null,"origins":null,"lenient":null,"life":null}`} {
		got := newTongue()
		if err := caddymodule.FillDialect(got, json.RawMessage(raw), quiet); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(newTongue(), got, ignoreOpened); diff != "" {
			t.Errorf("%s: not the defaults (-want +got)\n%s", raw, diff)
		}
	}
}

// JSON has spans of time as numbers too, as everywhere in Caddy.
func TestDialectSpanInJSON(t *testing.T) {
	for _, raw := range []string{`{"life":"1d"}`, `{"life":"24h"}`, `{"life":86400000000000}`} {
		got := newTongue()
		if err := caddymodule.FillDialect(got, json.RawMessage(raw), quiet); err != nil || got.Life != 24*time.Hour {
			t.Errorf("%s: %s, %v", raw, got.Life, err)
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

// TestEveryOptionIsAdapted holds that what the usage of each option of each
// vendor shows can be written, stands in the JSON, and is read from there.
func TestEveryOptionIsAdapted(t *testing.T) {
	env := regexp.MustCompile(`\{env\.(\w+)\}`)
	for _, name := range dialect.Names() {
		options := reflect.TypeOf(dialect.New(name)).Elem()
		for n := range options.NumField() {
			f := options.Field(n)
			if !f.IsExported() {
				continue
			}
			option, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			usage := f.Tag.Get("usage")
			for _, m := range env.FindAllStringSubmatch(usage, -1) {
				t.Setenv(m[1], "sesame")
			}
			written, _, err := caddymodule.ReadDialect(dialect.New(name), dispenser(t, "dialect {\n"+usage+"\n}"))
			if err != nil || written[option] == nil || len(written) != 1 {
				t.Errorf("%s: `%s` becomes %v, %v", name, usage, written, err)
				continue
			}
			raw, err := json.Marshal(written)
			if err != nil {
				t.Fatal(err)
			}
			if err := caddymodule.FillDialect(dialect.New(name), raw, quiet); err != nil {
				t.Errorf("%s: `%s` becomes %s: %v", name, usage, raw, err)
			}
		}
	}
}

// TestNoVendorIsNamed holds that only package web/dialect knows the vendors.
func TestNoVendorIsNamed(t *testing.T) {
	vendor := regexp.MustCompile(`(?i)` + strings.Join(dialect.Names(), "|"))
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if path == filepath.Join("..", "web", "dialect") {
				return filepath.SkipDir
			}
			return nil
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		source, err := os.ReadFile(path)
		if found := vendor.Find(source); found != nil {
			t.Errorf("%s names %s", path, found)
		}
		return err
	})
	if err != nil || files < 50 {
		t.Errorf("%d files, %v", files, err)
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
