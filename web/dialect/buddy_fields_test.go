package dialect_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// A body that two parsers could read in two ways is refused.
func TestBuddyHostileBodies(t *testing.T) {
	const big = 64 << 10
	pad := func(size int) string {
		const frame = `{"userName":"cesare","subject":"s","body":"b","x":""}`
		return strings.TrimSuffix(frame, `"}`) + strings.Repeat("a", size-len(frame)) + `"}`
	}
	fields := func(n int) (object, form string) {
		var o, f strings.Builder
		for i := range n - 3 {
			fmt.Fprintf(&o, `"x%d":1,`, i)
			fmt.Fprintf(&f, "x%d=1&", i)
		}
		return "{" + o.String() + `"userName":"cesare","subject":"s","body":"b"}`, f.String() + "userName=cesare&subject=s&body=b"
	}
	manyJSON, manyForm := fields(64)
	tooManyJSON, tooManyForm := fields(65)
	const form = "Content-Type: application/x-www-form-urlencoded"
	success := buddyAnswer(200, buddySuccess)
	twice, media := buddyFormat(buddyTwice), buddyFormat(buddyMedia)
	for _, tt := range []struct {
		name, header, body string
		want               expected
	}{
		{"empty", buddyJSON[0], "", twice},
		{"bad JSON", buddyJSON[0], "{", twice},
		{"a list", buddyJSON[0], "[" + buddyStart + "]", twice},
		{"a text", buddyJSON[0], `"x"`, twice},
		{"null", buddyJSON[0], "null", twice},
		{"two objects", buddyJSON[0], buddyStart + buddyStart, twice},
		{"more behind it", buddyJSON[0], buddyStart + "\x00", twice},
		{"byte order mark", buddyJSON[0], "\ufeff" + buddyStart, twice},
		{"UTF-16", buddyJSON[0], "\xfe\xff\x00{\x00}", twice},
		{"userName twice", buddyJSON[0], `{"userName":"cesare","userName":"ghost","subject":"s","body":"b"}`, twice},
		{"userName and username", buddyJSON[0], `{"userName":"cesare","username":"ghost","subject":"s","body":"b"}`, twice},
		{"userName and null", buddyJSON[0], `{"userName":"cesare","USERNAME":null,"subject":"s","body":"b"}`, twice},
		{"userName by an escape", buddyJSON[0], `{"userName":"cesare","user\u004eame":"ghost","subject":"s","body":"b"}`, twice},
		{"an unknown key twice", buddyJSON[0], `{"x":1,"X":2,"userName":"cesare","subject":"s","body":"b"}`, twice},
		{"Kelvin sign", buddyJSON[0], "{\"userName\":\"cesare\",\"subject\":\"s\",\"body\":\"b\",\"to\u212Aen\":1,\"token\":2}", success},
		{"very deep", buddyJSON[0], `{"location":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, twice},
		{"64 keys", buddyJSON[0], manyJSON, success},
		{"65 keys", buddyJSON[0], tooManyJSON, twice},
		{"empty form", form, "", twice},
		{"JSON as a form", form, buddyStart, buddyMissing("userName is missing.")},
		{"form as JSON", buddyJSON[0], "userName=cesare&subject=s&body=b", twice},
		{"form with userName twice", form, "userName=cesare&userName=ghost&subject=s&body=b", twice},
		{"form with userName and username", form, "userName=cesare&username=ghost&subject=s&body=b", twice},
		{"form with a list", form, "userName[]=cesare&userName[]=ghost&subject=s&body=b", twice},
		{"form with one in a list", form, "userName[]=cesare&subject=s&body=b", buddyMissing("userName is missing.")},
		{"damaged escape", form, "userName=%zz&subject=s&body=b", twice},
		{"semicolon", form, "userName=cesare;subject=s;body=b", twice},
		{"form of 64 fields", form, manyForm, success},
		{"form of 65 fields", form, tooManyForm, twice},
		{"no Content-Type", "X: y", buddyStart, media},
		{"empty Content-Type", "Content-Type:", buddyStart, media},
		{"text", "Content-Type: text/plain", buddyStart, media},
		{"two types", "Content-Type: application/json\r\nContent-Type: application/json", buddyStart, media},
		{"damaged type", "Content-Type: application/json; charset=\"", buddyStart, media},
		{"another charset", "Content-Type: application/json; charset=utf-16", buddyStart, media},
		{"unknown parameter", "Content-Type: application/json; boundary=x", buddyStart, media},
		{"multipart", "Content-Type: multipart/form-data; boundary=x", "--x\r\n\r\n\r\n--x--\r\n", media},
		{"coded", "Content-Encoding: gzip\r\nContent-Type: application/json", buddyStart, media},
		{"just small enough", buddyJSON[0], pad(big), success},
		{"just too large", buddyJSON[0], pad(big + 1), buddyFormat(buddyLarge)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			compareBuddy(t, w.do("POST", buddyPath, []string{tt.header}, tt.body), tt.want)
			if (tt.want.status == 200) != (len(w.requests) == 1) {
				t.Errorf("requests %v", w.requests)
			}
			if tt.want.body == twice.body || tt.want.body == media.body {
				compareBuddy(t, w.do("PATCH", buddyPath, []string{tt.header}, tt.body), tt.want)
				compareBuddy(t, w.do("POST", "/devices", []string{tt.header}, tt.body), tt.want)
			}
		})
	}
	// Nothing is read from the query.
	w := speakBuddy(t, nil)
	compareBuddy(t, w.do("POST", buddyPath+"?userName=cesare&subject=s&body=b", buddyJSON, `{"subject":"s","body":"b"}`), buddyMissing("userName is missing."))
}

// What is taken for a request is one to every other parser of JSON too, and no
// body is answered with what would break a client.
func FuzzBuddyBody(f *testing.F) {
	for _, seed := range []string{buddyStart, buddyFinish, `{}`, `[]`, "{\"userName\":\"\xff\",\"subject\":\"s\",\"body\":\"\"}", `{"userName":"a","USERNAME":"b"}`, `{"userName":"\ud800"}`} {
		f.Add(seed)
	}
	w := speakBuddy(f, nil)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 4000 {
			t.Skip()
		}
		w.t, w.requests = t, nil
		got := w.do("POST", buddyPath, buddyJSON, body)
		checkBuddy(t, got)
		if got.status == 400 && w.logins() == nil {
			return
		}
		if got.status != 200 || len(w.logins()) != 1 {
			t.Fatalf("%q: %d %s, requests %q", body, got.status, got.body, w.logins())
		}
		var other struct{ UserName, Subject, Body *string }
		if err := json.Unmarshal([]byte(body), &other); err != nil || other.UserName == nil || other.Subject == nil || other.Body == nil {
			t.Fatalf("%q is taken: %v", body, err)
		}
		if login := w.logins()[0]; utf8.ValidString(body) && login != *other.UserName || !utf8.ValidString(login) {
			t.Errorf("%q: %q, another parser has %q", body, login, *other.UserName)
		}
	})
}

// What is missing is named, and nothing else is looked at.
func TestBuddyMissing(t *testing.T) {
	for _, tt := range []struct {
		name, method, body string
		want               expected
	}{
		{"no userName", "POST", `{"subject":"s","body":"b"}`, buddyMissing("userName is missing.")},
		{"null userName", "POST", `{"userName":null,"subject":"s","body":"b"}`, buddyMissing("userName is missing.")},
		{"empty userName", "POST", `{"userName":"","subject":"s","body":"b"}`, buddyMissing("userName is missing.")},
		{"no subject", "POST", `{"userName":"cesare","body":"b"}`, buddyMissing("subject is missing.")},
		{"null subject", "PUT", `{"userName":"cesare","subject":null,"body":"b"}`, buddyMissing("subject is missing.")},
		{"no body", "POST", `{"userName":"cesare","subject":"s"}`, buddyMissing("body is missing.")},
		{"null body", "POST", `{"userName":"cesare","subject":"s","body":null}`, buddyMissing("body is missing.")},
		{"nothing", "POST", `{}`, buddyMissing("userName is missing.")},
		{"userName at the end", "PATCH", `{"resetCode":"12345678","newPassword":"newpass123"}`, buddyMissing("userName is missing.")},
		{"empty userName at the end", "PATCH", `{"userName":"","resetCode":"12345678","newPassword":"newpass123"}`, buddyMissing("userName is missing.")},
		{"no resetCode", "PATCH", `{"userName":"cesare","newPassword":"newpass123"}`, buddyMissing("resetCode is missing.")},
		{"null newPassword", "PATCH", `{"userName":"cesare","resetCode":"12345678","newPassword":null}`, buddyMissing("newPassword is missing.")},
		{"a number", "POST", `{"userName":7,"subject":"s","body":"b"}`, buddyFormat("userName is not text.")},
		{"a list", "POST", `{"userName":["cesare","ghost"],"subject":"s","body":"b"}`, buddyFormat("userName is not text.")},
		{"half a character", "PATCH", `{"userName":"cesare","resetCode":"12345678","newPassword":"\ud800"}`, buddyFormat("newPassword is not text.")},
		{"a control", "POST", `{"userName":"ces\u0000are","subject":"s","body":"b"}`, buddyFormat("userName is not a user name.")},
		{"a line end", "POST", `{"userName":"cesare\nBcc: x","subject":"s","body":"b"}`, buddyFormat("userName is not a user name.")},
		{"too long", "POST", `{"userName":"` + strings.Repeat("x", 255) + `","subject":"s","body":"b"}`, buddyFormat("userName is not a user name.")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			compareBuddy(t, w.do(tt.method, buddyPath, buddyJSON, tt.body), tt.want)
			if len(w.requests)+len(w.entries)+len(w.changes) > 0 {
				t.Errorf("the domain was asked: %q", w.asked())
			}
		})
	}
}
