package dialect_test

import (
	"encoding"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

func TestNames(t *testing.T) {
	names := dialect.Names()
	if !slices.IsSorted(names) {
		t.Errorf("%q is not in order", names)
	}
	for _, name := range []string{"catalyze", "payabli"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing in %q", name, names)
		}
	}
	if d := dialect.New("esperanto"); d != nil {
		t.Errorf("an unknown name gives %T", d)
	}
}

// The decoder of the Caddyfile knows options by their tags only.
func TestOptions(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	secrets := []string{"api_key", "request_token", "app_key", "shared_secret"}
	text := reflect.TypeFor[encoding.TextUnmarshaler]()
	for _, name := range dialect.Names() {
		options := reflect.TypeOf(dialect.New(name)).Elem()
		seen := make(map[string]bool)
		for n := range options.NumField() {
			f := options.Field(n)
			if !f.IsExported() {
				continue
			}
			t.Run(name+"."+f.Name, func(t *testing.T) {
				option, omit, _ := strings.Cut(f.Tag.Get("json"), ",")
				if !word.MatchString(option) || omit != "omitempty" {
					t.Errorf("json tag %q", f.Tag.Get("json"))
				}
				if seen[option] {
					t.Errorf("option %s is there twice", option)
				}
				seen[option] = true
				first, value, _ := strings.Cut(f.Tag.Get("usage"), " ")
				if first != option || (value == "") != (f.Type.Kind() == reflect.Bool) {
					t.Errorf("usage tag %q of option %s", f.Tag.Get("usage"), option)
				}
				switch {
				case f.Type.Kind() == reflect.String, f.Type.Kind() == reflect.Bool, f.Type.Kind() == reflect.Int,
					f.Type == reflect.TypeFor[[]string](), reflect.PointerTo(f.Type).Implements(text):
				default:
					t.Errorf("type %s", f.Type)
				}
				// A key that is not marked would be quoted in messages.
				secret, marked := f.Tag.Lookup("secret")
				if marked && secret != "true" || !marked && slices.Contains(secrets, option) {
					t.Errorf("secret tag %q", secret)
				}
			})
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, name := range dialect.Names() {
		t.Run(name, func(t *testing.T) {
			d := dialect.New(name)
			if err := d.Check(); err != nil {
				t.Errorf("the defaults are refused: %v", err)
			}
			if endpoints, err := d.Open("app.example.com"); err != nil || len(endpoints) == 0 {
				t.Errorf("%d endpoints, %v", len(endpoints), err)
			}
			// What is written to the JSON configuration is read back.
			data, err := json.Marshal(dialect.New(name))
			if err != nil {
				t.Fatal(err)
			}
			again := dialect.New(name)
			if err := json.Unmarshal(data, again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(dialect.New(name), again, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("%s changes the options:\n%s", data, diff)
			}
		})
	}
}

// Each vendor's paths begin at the mount path, the root included, and nothing
// before it is taken from the app.
func TestMount(t *testing.T) {
	for _, name := range dialect.Names() {
		for _, path := range []string{"/old/api", "/old/api/", "/"} {
			d := dialect.New(name)
			setOption(t, d, "path", path)
			if err := d.Check(); err != nil {
				t.Fatalf("%s: path %s: %v", name, path, err)
			}
			endpoints, err := d.Open("app.example.com")
			if err != nil {
				t.Fatalf("%s: path %s: %v", name, path, err)
			}
			for _, e := range endpoints {
				if !strings.HasPrefix(e.Path, strings.TrimSuffix(path, "/")+"/") || strings.Contains(e.Path, "//") {
					t.Errorf("%s: path %s: endpoint %s", name, path, e.Path)
				}
			}
			if path == "/" {
				continue // not every vendor's routes leave room for our own pages
			}
			w := newWorld(t, map[string]web.Dialect{name: d})
			if got := w.do("GET", "/app/about", nil, ""); !got.foreign {
				t.Errorf("%s: path %s: /app/about is taken from the app: %d %s", name, path, got.status, got.body)
			}
		}
	}
}

// What an operator got wrong is named by its option, and nothing is quoted that
// may be secret.
func TestCheckRefuses(t *testing.T) {
	for _, tt := range []struct{ option, value string }{
		{"path", `"api"`},
		{"path", `"/old/{env.BASE}"`},
		{"path", `"/{all...}"`},
		{"path", `"/a/../b"`},
		{"path", `"/a b"`},
		{"origins", `["app.example.com"]`},
		{"origins", `["https://app.example.com/"]`},
		{"origins", `["https://APP.example.com"]`},
		{"origins", `["ftp://app.example.com"]`},
		{"origins", `["null"]`},
		{"origins", `[""]`},
		{"origins", `["*","https://app.example.com"]`},
		{"api_key", `[""]`},
		{"api_key", `["browser app hush-hush"]`},
		{"request_token", `[""]`},
		{"request_token", `["Bearer hush-hush"]`},
	} {
		tried := false
		for _, name := range dialect.Names() {
			d := dialect.New(name)
			if !hasOption(d, tt.option) {
				continue
			}
			tried = true
			if err := json.Unmarshal([]byte(`{"`+tt.option+`":`+tt.value+`}`), d); err != nil {
				t.Fatal(err)
			}
			_, err := web.New(web.Options{BaseURL: origin, Dialects: map[string]web.Dialect{name: d}, Open: neverOpen})
			want := "dialect " + name + ": " + tt.option
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hush-hush") {
				t.Errorf("%s %s: error %v, want one that begins with %q", tt.option, tt.value, err, want)
			}
		}
		if !tried {
			t.Errorf("no dialect has option %s", tt.option)
		}
	}
}

// hasOption tells whether a dialect has an option of that name.
func hasOption(d web.Dialect, option string) bool {
	for n := range reflect.TypeOf(d).Elem().NumField() {
		if name, _, _ := strings.Cut(reflect.TypeOf(d).Elem().Field(n).Tag.Get("json"), ","); name == option {
			return true
		}
	}
	return false
}

func setOption(t *testing.T, d web.Dialect, option string, value any) {
	t.Helper()
	data, err := json.Marshal(map[string]any{option: value})
	if err != nil {
		t.Fatal(err)
	}
	if !hasOption(d, option) {
		t.Fatalf("%T has no option %s", d, option)
	}
	if err := json.Unmarshal(data, d); err != nil {
		t.Fatal(err)
	}
}
