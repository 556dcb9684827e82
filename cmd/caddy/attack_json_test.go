package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A reader is how some parser that is in use reads one member of a JSON object.
type reader struct {
	name string
	read func(body []byte, member string) (string, bool)
}

// readers differ where JSON is not strict (RFC 8259 section 4 leaves open what
// a repeated name means, and parsers differ in much else).
var readers = []reader{
	{"the last of a name counts", func(body []byte, member string) (string, bool) {
		var all map[string]any
		if json.Unmarshal(body, &all) != nil {
			return "", false
		}
		text, ok := all[member].(string)
		return text, ok
	}},
	{"the first counts, and what follows is not looked at", func(body []byte, member string) (string, bool) {
		dec := json.NewDecoder(bytes.NewReader(body))
		if t, err := dec.Token(); err != nil || t != json.Delim('{') {
			return "", false
		}
		for dec.More() {
			name, err := dec.Token()
			var value any
			if err != nil || dec.Decode(&value) != nil {
				return "", false
			}
			if name == member {
				text, ok := value.(string)
				return text, ok
			}
		}
		return "", false
	}},
	{"case does not count", func(body []byte, member string) (string, bool) {
		dec := json.NewDecoder(bytes.NewReader(body))
		if t, err := dec.Token(); err != nil || t != json.Delim('{') {
			return "", false
		}
		found, ok := "", false
		for dec.More() {
			name, err := dec.Token()
			var value any
			if err != nil || dec.Decode(&value) != nil {
				return "", false
			}
			if text, is := name.(string); is && strings.EqualFold(text, member) {
				found, ok = value.(string)
			}
		}
		return found, ok
	}},
}

// An intake is an endpoint that takes JSON.
type intake struct {
	name   string
	spell  func(body string) phrase
	member string // that holds the login
	whole  string // a right body for the login {}
	folds  bool   // the contract has members without regard to case
}

var intakes = []intake{
	{"ours", func(body string) phrase {
		return phrase{"POST", surface, []string{"Content-Type", plainJSON}, body}
	}, "login", `{"login":"{}","x":1}`, false},
	{"payabli", payabliSaid, "email", `{"email":"{}@example.com","entry":"acme","entryType":2}`, false},
	{"buddy", func(body string) phrase {
		return phrase{"POST", "/users/password", []string{"Content-Type", plainJSON}, body}
	}, "userName", `{"userName":"{}","subject":"s","body":"@ResetCode"}`, true},
}

// twofold are bodies that two parsers read in two ways, where M is the member
// and V who is meant by one of them.
var twofold = []string{
	`{"M":"V","M":"evil@evil.test"}`, `{"M":"evil@evil.test","M":"V"}`, `{"M":"V","U":"evil@evil.test"}`, `{"U":"evil@evil.test","M":"V"}`, `{"U":"V"}`,
	`{"M":["V","evil@evil.test"]}`, `{"M":["V"]}`, `{"M":{"$ne":"V"}}`, `{"M":{"M":"V"}}`, `{"M":null}`, `{"M":true}`, `{"M":1e400}`, `{"M":12345678901234567890}`, `{"M":0}`, `{"M":-0}`,
	`{"M":"V"}{"M":"evil@evil.test"}`, `{"M":"V"},`, `{"M":"V"}]`, `{"M":"V"}x`, "{\"M\":\"V\"}\x00", `[{"M":"V"}]`, `[["M","V"]]`, `"V"`, `{"M":"V",}`, `{,"M":"V"}`, `{'M':'V'}`, `{M:"V"}`,
	`{"M":"V"/*,"M":"evil@evil.test"*/}`, "{\"M\":\"V\"//\n}", "\ufeff" + `{"M":"V"}`, `{"M":"V","x":NaN}`, `{"M":"V","x":01}`, `{"M":"V","x":.5}`, `{"M":"V","x":+1}`, `{"M":"V","x":0x1}`,
	"{\"M\":\"V\n\"}", "{\"M\":\"V\t\"}", "{\"M\":\"V\x00\"}", `{"M":"V\u0000"}`, `{"M":"V\ud800"}`, `{"M":"V\udc00\ud800"}`, "{\"M\":\"V\xff\"}", "{\"M\":\"V\xed\xa0\x80\"}", "{\"M\xff\":\"V\"}", `{"M\u0000":"V"}`,
	`{"M":"V\x20"}`, `{"M":"V\'"}`, `{"\u004d":"V"}`, `{"M ":"V"," M":"evil@evil.test"}`, `{"__proto__":{"M":"V"}}`, `{"M":"V","x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
	`{"M":"V","x":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40) + `}`, `{"M":"V"` + strings.Repeat(`,"x`+"%d"+`":1`, 100) + `}`, ``, ` `, `{}`, `null`, `M=V`,
}

// A body is read as every parser reads it, or refused: what is accepted of it
// is what any other would take, whatever its media type says.
func TestTrialAttackJSON(t *testing.T) {
	t.Parallel()
	s := besiege(t, "JSON with two meanings", people(1))
	type try struct {
		intake
		body   string
		header []string
	}
	var tries []try
	for _, in := range intakes {
		for _, text := range twofold {
			if strings.Contains(text, "%d") {
				for i := range 100 {
					text = strings.Replace(text, "%d", fmt.Sprint(i), 1)
				}
			}
			text = strings.NewReplacer(`"M`, `"`+in.member, `M"`, in.member+`"`, "'M'", "'"+in.member+"'", "{M:", "{"+in.member+":", "U", strings.ToUpper(in.member), "V", "{}@example.com").Replace(text)
			tries = append(tries, try{in, text, nil})
		}
		for _, swap := range [][2]string{{"i", "\u0131"}, {"i", "\u0130"}, {"s", "\u017f"}, {"l", "\uff4c"}, {"e", "\u0435"}, {"l", "l\u200b"}, {"m", "M"}} {
			tries = append(tries, try{in, strings.Replace(in.whole, in.member, strings.Replace(in.member, swap[0], swap[1], 1), 1), nil})
		}
		for _, media := range []string{
			"text/plain", "text/json", "application/json; charset=utf-16", "application/json; charset=utf-7", "application/json; charset=utf-8; charset=utf-16", "application/json, text/plain",
			"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json;", "application/xml", "APPLICATION/JSON", "application/json; x=y", "", "application/\x01json",
		} {
			tries = append(tries, try{in, in.whole, []string{"Content-Type", media}})
		}
		tries = append(tries,
			try{in, in.whole, []string{"Content-Type", "application/json", "Content-Type", "text/plain"}},
			try{in, in.whole, []string{"Content-Encoding", "gzip"}}, try{in, in.whole, []string{"Content-Encoding", "identity"}},
			try{in, utf16(in.whole), nil}, try{in, utf16(in.whole), []string{"Content-Type", "application/json; charset=utf-16"}},
		)
	}
	chance := s.tr.Rand(0)
	for range s.tr.Size(150, 8000) {
		in := intakes[chance.IntN(len(intakes))]
		tries = append(tries, try{in, mangle(chance, in), nil})
	}
	s.each(len(tries), func(i int) {
		try := tries[i]
		r, ok := s.pair(func(login string) string {
			p := try.spell(strings.ReplaceAll(try.body, "{}", login))
			p.header = slices.DeleteFunc(slices.Clone(p.header), func(string) bool { return len(try.header) > 0 && try.header[0] == "Content-Type" })
			return s.spell(p, try.header...)
		})
		if !ok || r.Status >= 400 {
			return
		}
		// Accepted: for everybody the same login, in UTF-8, and nothing more.
		body := []byte(strings.ReplaceAll(try.body, "{}", known))
		strictest := readers[0]
		if try.folds {
			strictest = readers[2]
		}
		if try.folds && !utf8.Valid(body) {
			body = []byte(latin1(body)) // as some clients of Buddy send it, without a name
		}
		login, found := strictest.read(body, try.member)
		for _, other := range readers {
			got, ok := other.read(body, try.member)
			// Where names have no case, a reader that minds it may find none.
			if got != login && (ok || !try.folds) {
				s.tr.Violation("%s: %q is accepted, and where %s it says %q and not %q", try.name, body, other.name, got, login)
			}
		}
		if !found || !utf8.Valid(body) {
			s.tr.Violation("%s: %q is accepted", try.name, body)
		}
		if len(try.header) > 0 && try.header[0] == "Content-Encoding" {
			s.tr.Violation("%s: a body with a coding is accepted", try.name)
		}
		s.typed.Store(login, true)
		s.typed.Store(strings.ReplaceAll(login, known, unknown), true)
	})
	// What was wrong with one member holds for the others.
	for _, body := range []string{
		`{"token":"x","password":"` + newPassword + `","password":"x"}`, `{"token":"x","TOKEN":"y","password":"x"}`, "{\"to\u212aen\":\"x\",\"password\":\"x\"}", `{"token":1,"password":"x"}`, `{"token":"x","password":["x"]}`,
		`{"login":"a","code":12345678,"password":"x"}`, `{"login":"a","code":"1","code":"2","password":"x"}`, `{"token":"x","password":"\ud800"}`,
	} {
		if r, ok := s.hit(s.raw("POST", surface+"/new", body, s.visitor()...)); ok && r.Status != http.StatusBadRequest {
			s.tr.Violation("%s is answered %d", body, r.Status)
		}
	}
	s.lift()
}

// mangle changes a right body in one to three places.
func mangle(chance *rand.Rand, in intake) string {
	body := in.whole
	for range 1 + chance.IntN(3) {
		i := chance.IntN(len(body) + 1)
		switch chance.IntN(6) {
		case 0:
			body = body[:i] + separators[chance.IntN(len(separators))] + body[i:]
		case 1:
			body = body[:i] + string(rune(chance.IntN(256))) + body[i:]
		case 2:
			if i < len(body) {
				body = body[:i] + string([]byte{body[i] ^ 1<<chance.IntN(8)}) + body[i+1:]
			}
		case 3: // a member more, before or behind
			more := []string{in.member, strings.ToUpper(in.member), "x", `\u00` + hexOf(in.member[0]) + in.member[1:]}[chance.IntN(4)]
			more = `"` + more + `":"` + []string{evil, "{}", "{}@example.com"}[chance.IntN(3)] + `"`
			if chance.IntN(2) == 0 {
				body = strings.Replace(body, "{", "{"+more+",", 1)
			} else if end := strings.LastIndexByte(body, '}'); end > 0 {
				body = body[:end] + "," + more + body[end:]
			}
		case 4:
			j := i + chance.IntN(len(body)-i+1)
			body = body[:j] + body[i:]
		case 5:
			if i < len(body) && body[i] != '{' && body[i] < utf8.RuneSelf {
				body = body[:i] + fmt.Sprintf(`\u%04x`, body[i]) + body[i+1:]
			}
		}
	}
	return body
}

// latin1 is what bytes stand for in ISO 8859-1.
func latin1(text []byte) string {
	var out []rune
	for _, c := range text {
		out = append(out, rune(c))
	}
	return string(out)
}

// utf16 is a text in another encoding, big-endian with a mark.
func utf16(text string) string {
	out := []byte{0xfe, 0xff}
	for _, c := range []byte(text) {
		out = append(out, 0, c)
	}
	return string(out)
}
