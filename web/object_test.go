package web

import (
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeObject(t *testing.T) {
	deep := strings.Repeat("[", maxDepth)
	for _, tt := range []struct {
		name, body string
		want       fields // nil: refused
	}{
		{"empty", `{}`, fields{}},
		{"one", `{"login":"a"}`, fields{"login": "a"}},
		{"white space", " {\n\"login\" : \"a\"}\t", fields{"login": "a"}},
		{"escapes", `{"password":"\u00e9\ud83d\ude00\"\\\/\n"}`, fields{"password": "é😀\"\\/\n"}},
		{"escaped backslash before u", `{"password":"\\ud800"}`, fields{"password": `\ud800`}},
		{"unknown of any kind", `{"a":1,"b":[1,{"c":null}],"d":true,"e":null,"login":"a"}`, fields{"login": "a"}},
		{"not a string", `{"login":["a"]}`, fields{}},
		{"deep enough", `{"x":` + deep + strings.Repeat("]", maxDepth) + `}`, fields{}},
		{"other case", `{"LOGIN":"a"}`, fields{"LOGIN": "a"}},
		{"Kelvin sign", "{\"to\u212aen\":\"a\"}", fields{"to\u212aen": "a"}},

		{"too deep", `{"x":[` + deep + strings.Repeat("]", maxDepth) + `]}`, nil},
		{"nothing", ``, nil},
		{"array", `["login"]`, nil},
		{"string", `"login"`, nil},
		{"null", `null`, nil},
		{"cut", `{"login":"a"`, nil},
		{"trailing data", `{"login":"a"}{}`, nil},
		{"trailing comma", `{"login":"a",}`, nil},
		{"comment", `{"login":"a"/**/}`, nil},
		{"single quotes", `{'login':'a'}`, nil},
		{"byte order mark", "\ufeff{}", nil},
		{"same key twice", `{"login":"a","login":"a"}`, nil},
		{"same key in another case", `{"login":"a","LOGIN":"b"}`, nil},
		{"same key escaped", `{"login":"a","\u006cogin":"b"}`, nil},
		{"invalid UTF-8", "{\"login\":\"\xff\"}", nil},
		{"overlong UTF-8", "{\"login\":\"\xc0\xae\"}", nil},
		{"high surrogate", `{"login":"\ud800"}`, nil},
		{"low surrogate", `{"login":"\udc00"}`, nil},
		{"two high surrogates", `{"login":"\ud800\ud800"}`, nil},
		{"surrogate before another escape", `{"login":"\ud800\n"}`, nil},
		{"surrogate in a key", `{"\ud800":"a"}`, nil},
		{"control in a string", "{\"login\":\"a\nb\"}", nil},
		{"many members", `{"a` + strings.Join(lengths(), `":1,"a`) + `":1}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := decodeObject([]byte(tt.body))
			if ok != (tt.want != nil) {
				t.Fatalf("accepted: %v", ok)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func lengths() []string {
	var s []string
	for i := range 255 {
		s = append(s, strings.Repeat("x", i))
	}
	return s
}

func FuzzDecodeObject(f *testing.F) {
	for _, s := range []string{`{"login":"a"}`, `{"a":[1,{"b":"\ud83d\ude00"}]}`, `{"a":"\ud800"}`, `{"a":1,"A":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := decodeObject(body)
		if !ok {
			return
		}
		// What is accepted reads the same to a lenient parser.
		var want map[string]any
		if err := stdjson.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is accepted, but %v", body, err)
		}
		for name, value := range got {
			if want[name] != value {
				t.Errorf("%q: %q is %q here and %q there", body, name, value, want[name])
			}
		}
	})
}
