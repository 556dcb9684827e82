package dialect_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

func TestNames(t *testing.T) {
	names := dialect.Names()
	if !slices.IsSorted(names) {
		t.Errorf("%q is not in order", names)
	}
	for _, name := range []string{"baasbox", "buddy", "catalyze", "payabli"} {
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
				switch f.Type {
				case reflect.TypeFor[string](), reflect.TypeFor[[]string](), reflect.TypeFor[bool](), reflect.TypeFor[time.Duration]():
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
			if contract, err := d.Open(); err != nil || len(contract.Endpoints) == 0 {
				t.Errorf("%d endpoints, %v", len(contract.Endpoints), err)
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
			if !hasOption(d, "path") {
				continue
			}
			setOption(t, d, "path", path)
			if err := d.Check(); err != nil {
				t.Fatalf("%s: path %s: %v", name, path, err)
			}
			contract, err := d.Open()
			if err != nil {
				t.Fatalf("%s: path %s: %v", name, path, err)
			}
			for _, e := range contract.Endpoints {
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

// What an operator got wrong is named by its option.
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
	} {
		tried := false
		for _, name := range dialect.Names() {
			if !hasOption(dialect.New(name), tt.option) {
				continue
			}
			tried = true
			refused(t, name, tt.option, tt.value)
		}
		if !tried {
			t.Errorf("no dialect has option %s", tt.option)
		}
	}
}

// refused fails unless a site refuses the value, in JSON, of a dialect's option,
// and names the option without a secret that holds hush.
func refused(t *testing.T, name, option, value string) {
	t.Helper()
	d := dialect.New(name)
	if err := json.Unmarshal([]byte(`{"`+option+`":`+value+`}`), d); err != nil {
		t.Fatal(err)
	}
	_, err := web.New(web.Options{BaseURL: origin, Dialects: map[string]web.Dialect{name: d}, Open: neverOpen})
	want := "dialect " + name + ": " + option
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), hush) {
		t.Errorf("%s %s: error %v, want one that begins with %q", option, value, err, want)
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
