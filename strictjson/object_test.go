package strictjson_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
)

func TestParse(t *testing.T) {
	const levels = 31 // below the object itself
	deep := strings.Repeat("[", levels)
	for _, tt := range []struct {
		name, body string
		want       map[string]string // what are texts; nil: refused
	}{
		{"empty", `{}`, map[string]string{}},
		{"one", `{"login":"a"}`, map[string]string{"login": "a"}},
		{"white space", " {\n\"login\" : \"a\"}\t", map[string]string{"login": "a"}},
		{"escapes", `{"password":"\u00e9\ud83d\ude00\"\\\/\n"}`, map[string]string{"password": "é😀\"\\/\n"}},
		{"escaped backslash before u", `{"password":"\\ud800"}`, map[string]string{"password": `\ud800`}},
		{"unknown of any kind", `{"a":1,"b":[1,{"c":null}],"d":true,"e":null,"login":"a"}`, map[string]string{"login": "a"}},
		{"not a string", `{"login":["a"]}`, map[string]string{}},
		{"deep enough", `{"x":` + deep + strings.Repeat("]", levels) + `}`, map[string]string{}},
		{"other case", `{"LOGIN":"a"}`, map[string]string{"LOGIN": "a"}},
		{"Kelvin sign", "{\"to\u212aen\":\"a\"}", map[string]string{"to\u212aen": "a"}},

		{"too deep", `{"x":[` + deep + strings.Repeat("]", levels) + `]}`, nil},
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
		{"high surrogate", `{"login":"\ud800"}`, map[string]string{}},
		{"low surrogate", `{"login":"\udc00"}`, map[string]string{}},
		{"two high surrogates", `{"login":"\ud800\ud800"}`, map[string]string{}},
		{"surrogate before another escape", `{"login":"\ud800\n"}`, map[string]string{}},
		{"surrogate in a key", `{"\ud800":"a"}`, nil},
		{"control in a string", "{\"login\":\"a\nb\"}", nil},
		{"bracket follows", `{}]`, nil},
		{"breaks off in a value", `{"a":[1`, nil},
		{"no colon", `{"a" 1}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := strictjson.Parse([]byte(tt.body))
			if (err == nil) != (tt.want != nil) {
				t.Fatalf("accepted: %v", err == nil)
			}
			if err != nil {
				return
			}
			got := make(map[string]string)
			for name := range o {
				if text, ok := o.Text(name); ok {
					got[name] = text
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestObjectKeepsValues(t *testing.T) {
	o, err := strictjson.Parse([]byte(` {"a":1, "b":{"a":[]} } `))
	if err != nil {
		t.Fatal(err)
	}
	want := strictjson.Object{"a": json.RawMessage(`1`), "b": json.RawMessage(`{"a":[]}`)}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"login":"a"}`, `{"a":[1,{"b":"\ud83d\ude00"}]}`, `{"a":"\ud800"}`, `{"a":1,"A":2}`, `{"a" 1}`, `{"login":"a","to\u212aen":"b","token":"c"}`, `{"login":"\\ud83d\\ude00","x":{"login":"b","login":"c"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := strictjson.Parse(data)
		if err != nil {
			return
		}
		// What is accepted reads the same to a lenient parser.
		var want map[string]any
		if err := json.Unmarshal(data, &want); err != nil || len(want) != len(got) {
			t.Fatalf("%q is accepted, but elsewhere it has %d members: %v", data, len(want), err)
		}
		for name, raw := range got {
			text, ok := got.Text(name)
			if other, isText := want[name].(string); ok && text != other || isText && !ok && !strings.ContainsRune(other, '\ufffd') {
				t.Errorf("%q: %q is %q here and %q there", data, name, text, other)
			}
			var value any
			if err := json.Unmarshal(raw, &value); err != nil || !reflect.DeepEqual(value, want[name]) {
				t.Errorf("%q: %q is %v here and %v there, %v", data, name, value, want[name], err)
			}
		}
		// A program with a field of a name reads the same of it, as encoding/json
		// matches names without regard to case, and lets the last one win.
		var fields struct {
			Login, Token, Password *string
		}
		if json.Unmarshal(data, &fields) != nil {
			return
		}
		for name, field := range map[string]*string{"login": fields.Login, "token": fields.Token, "password": fields.Password} {
			if text, ok := got.Text(name); ok && (field == nil || *field != text) && !hasAlias(got, name) {
				t.Errorf("%q: a program reads %v for %s", data, field, name)
			}
		}
	})
}

// hasAlias tells whether a member has a name that only Unicode folds to another.
func hasAlias(o strictjson.Object, name string) bool {
	for other := range o {
		if other != name && strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}
