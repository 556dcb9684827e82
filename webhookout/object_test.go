package webhookout_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

func TestObject(t *testing.T) {
	tests := []struct {
		name, in string
		want     map[string]json.RawMessage // nil: refused
	}{
		{"empty", `{}`, map[string]json.RawMessage{}},
		{"fields", ` {"a":1,"b":{"a":[]}} `, map[string]json.RawMessage{"a": json.RawMessage(`1`), "b": json.RawMessage(`{"a":[]}`)}},
		{"case matters", `{"a":1,"A":2}`, map[string]json.RawMessage{"a": json.RawMessage(`1`), "A": json.RawMessage(`2`)}},
		{"twice", `{"a":1,"a":1}`, nil},
		{"twice, once escaped", `{"a":1,"\u0061":2}`, nil},
		{"array", `[]`, nil},
		{"null", `null`, nil},
		{"string", `"{}"`, nil},
		{"nothing", ``, nil},
		{"two objects", `{}{}`, nil},
		{"something follows", `{} x`, nil},
		{"bracket follows", `{}]`, nil},
		{"breaks off", `{"a":1`, nil},
		{"breaks off in a value", `{"a":[1`, nil},
		{"comma at the end", `{"a":1,}`, nil},
		{"no colon", `{"a" 1}`, nil},
		{"not UTF-8", "{\"a\":\"\xff\"}", nil},
		{"byte order mark", "\ufeff{}", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := webhookout.Object([]byte(tt.in))
			if (err != nil) != (tt.want == nil) {
				t.Fatalf("got %v, error %v", got, err)
			}
			if tt.want != nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"detail":"x","a":[1,{"b":null}]}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(`{"a" 1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fields, err := webhookout.Object(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what is no JSON: %q", data)
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(data, &m); err != nil || len(m) != len(fields) {
			t.Fatalf("%d fields, %d in encoding/json", len(fields), len(m))
		}
	})
}
