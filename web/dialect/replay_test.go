package dialect_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A message is a request or an answer in a file under testdata.
type message struct {
	Method, Path string
	Status       int
	Headers      map[string]string
	Body         json.RawMessage
}

// A seedCase is one case of testdata/seed-contracts.json.
type seedCase struct {
	Name, Mode, Note  string
	Request, Response message
}

// placeholders are what texts between < > stand for in an answer, unless a
// test gives them a value.
var placeholders = map[string]string{
	"<24 hex>":            `[0-9a-f]{24}`,
	"<token>":             `[^"\\]{20,}`,
	"<unix ms>":           `[0-9]{13}`,
	"<text>":              `[^"\\]+`,
	"<names userName>":    `[^"]*userName[^"]*`,
	"<names body>":        `[^"]*body[^"]*`,
	"<names @ResetCode>":  `[^"]*@ResetCode[^"]*`,
	"<names newPassword>": `[^"]*newPassword[^"]*`,
}

// replaySeed replays the cases of a vendor and compares whole answers. Arrange
// makes the world of a case. Values are those of placeholders, in requests and
// answers; a key without < > is the name of a case whose answer has the given
// body in place of that in the file.
func replaySeed(t *testing.T, vendor string, values map[string]string, arrange func(*testing.T, seedCase) *world) {
	t.Helper()
	var all map[string]json.RawMessage
	readJSON(t, "seed-contracts.json", &all)
	var cases []seedCase
	if err := json.Unmarshal(all[vendor], &cases); err != nil || len(cases) == 0 {
		t.Fatalf("cases of %s: %d, %v", vendor, len(cases), err)
	}
	var pairs []string
	for name, value := range values {
		if strings.HasPrefix(name, "<") {
			pairs = append(pairs, name, value)
		}
	}
	fill := strings.NewReplacer(pairs...)
	for _, c := range cases {
		t.Run(c.Name+", "+c.Mode, func(t *testing.T) {
			w := arrange(t, c)
			got := w.do(c.Request.Method, fill.Replace(c.Request.Path), lines(c.Request.Headers), fill.Replace(wire(t, c.Request.Body)))
			want := expected{status: c.Response.Status, header: c.Response.Headers, body: fill.Replace(wire(t, c.Response.Body))}
			if body, other := values[c.Name]; other {
				want.body = body
			}
			if matches(want.body, got.body) {
				want.body = got.body
			}
			compare(t, got, want)
		})
	}
}

// A captured is one request of a real client.
type captured struct {
	Case    string
	Request message
}

// captures returns the requests of a file of captures, in the order of the
// names of its cases.
func captures(t *testing.T, file string) []captured {
	t.Helper()
	var f struct {
		Cases map[string]struct{ Calls []message }
	}
	readJSON(t, file, &f)
	var all []captured
	for _, name := range slices.Sorted(maps.Keys(f.Cases)) {
		for _, call := range f.Cases[name].Calls {
			all = append(all, captured{name, call})
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s holds no calls", file)
	}
	return all
}

// replay sends a captured request.
func (w *world) replay(c captured) answer {
	w.t.Helper()
	return w.do(c.Request.Method, c.Request.Path, lines(c.Request.Headers), wire(w.t, c.Request.Body))
}

// wire returns a body as it is sent: text as it is, JSON in compact form with
// its keys in order.
func wire(t testing.TB, body json.RawMessage) string {
	t.Helper()
	var text string
	if len(body) == 0 || json.Unmarshal(body, &text) == nil {
		return text // null is ""
	}
	var b bytes.Buffer
	if err := json.Compact(&b, body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func lines(header map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		all = append(all, name+": "+header[name])
	}
	return all
}

// matches tells whether a body is the one wanted, placeholders aside.
func matches(want, got string) bool {
	pattern := regexp.QuoteMeta(want)
	for name, p := range placeholders {
		pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta(name), p)
	}
	return regexp.MustCompile("^(?s:" + pattern + ")$").MatchString(got)
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
