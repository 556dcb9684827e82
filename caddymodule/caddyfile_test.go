package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/google/go-cmp/cmp"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

var update = flag.Bool("update", false, "write what was got into testdata")

// separator stands between a Caddyfile and what becomes of it.
const separator = "\n----------\n"

// adapt turns a Caddyfile into JSON, as `caddy adapt` does.
func adapt(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	return config, err
}

// TestAdapt holds each option of the Caddyfile against its JSON.
func TestAdapt(t *testing.T) {
	golden(t, "testdata/adapt/*.txt", func(t *testing.T, caddyfile string) string {
		config, err := adapt(caddyfile)
		if err != nil {
			t.Fatal(err)
		}
		var all struct {
			Apps struct {
				HTTP json.RawMessage `json:"http"`
				Ours json.RawMessage `json:"password_reset"`
			} `json:"apps"`
		}
		if err := json.Unmarshal(config, &all); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for _, part := range append([]json.RawMessage{all.Apps.Ours}, routes(t, all.Apps.HTTP)...) {
			if err := json.Indent(&b, part, "", "\t"); err != nil {
				t.Fatal(err)
			}
			b.WriteByte('\n')
		}
		return b.String()
	})
}

// TestRefused holds each mistake in a Caddyfile against what is said of it, in
// which <dialects> stands for the names of all.
func TestRefused(t *testing.T) {
	names := strings.NewReplacer(strings.Join(dialect.Names(), "|"), "<dialects>", strings.Join(dialect.Names(), ", "), "<dialects>")
	golden(t, "testdata/refused/*.txt", func(t *testing.T, caddyfile string) string {
		config, err := adapt(caddyfile)
		if err == nil {
			t.Fatalf("adapted to %s", config)
		}
		if !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("no file and line in: %v", err)
		}
		return names.Replace(err.Error()) + "\n"
	})
}

// routes returns the routes that hold our handler, in order.
func routes(t *testing.T, config []byte) (found []json.RawMessage) {
	t.Helper()
	var all any
	if err := json.Unmarshal(config, &all); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			handlers, _ := v["handle"].([]any)
			for _, h := range handlers {
				if h.(map[string]any)["handler"] == "password_reset" {
					part, err := json.Marshal(v)
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, part)
				}
			}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key])
			}
		}
	}
	walk(all)
	return found
}

func golden(t *testing.T, pattern string, become func(*testing.T, string) string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(data), separator)
			got := become(t, caddyfile)
			if *update {
				if err := os.WriteFile(file, []byte(caddyfile+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
