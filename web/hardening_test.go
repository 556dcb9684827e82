package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is not a clean request does not reach the domain, and no answer shows
// what was sent.
func TestHostileBodies(t *testing.T) {
	const canary = "canary-7f3a"
	for _, tt := range []struct {
		name, path, media, body string
		want                    int
	}{
		{"array of logins", "", form, "login[]=" + canary + "&login[]=b", 400},
		{"array notation once", "", form, "login[]=" + canary, 400},
		{"login twice", "", form, "login=" + canary + "&login=b", 400},
		{"login in the query", "?login=" + canary, form, "", 400},
		{"other case", "", form, "LOGIN=" + canary, 400},
		{"invalid UTF-8", "", form, "login=" + canary + "%ff", 400},
		{"JSON twice", "", json, `{"login":"` + canary + `","login":"b"}`, 400},
		{"JSON in two cases", "", json, `{"login":"` + canary + `","LOGIN":"b"}`, 400},
		{"JSON, list of logins", "", json, `{"login":["` + canary + `","b"]}`, 400},
		{"JSON, login in an object", "", json, `{"login":{"$ne":"` + canary + `"}}`, 400},
		{"JSON, dotless i", "", json, "{\"log\u0131n\":\"" + canary + "\"}", 400},
		{"JSON, trailing", "", json, `{"login":"` + canary + `"}{"login":"b"}`, 400},
		{"JSON, form", "", json, `login=` + canary, 400},
		{"JSON as text", "", "text/plain", `{"login":"` + canary + `"}`, 415},
		{"multipart", "", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=login\r\n\r\n" + canary + "\r\n--x--", 415},
		{"UTF-16", "", "application/json; charset=utf-16", `{"login":"` + canary + `"}`, 415},
		{"no type", "", "", "login=" + canary, 415},
		{"too large", "", form, "login=" + canary + strings.Repeat("a", 16<<10), 413},
		{"deep", "", json, `{"login":"` + canary + `","x":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `}`, 400},
		{"code twice", "/code", form, "login=a&code=" + canary + "&code=1", 400},
		{"code as a number", "/code", json, `{"login":"` + canary + `","code":12345678}`, 400},
		{"token twice", "/new", form, "token=" + canary + "&token=b&password=x&password_repeat=x", 400},
		{"token in the query", "/new?token=" + liveToken, form, "password=" + canary + "&password_repeat=" + canary, 400},
		{"no repeat", "/new", form, "token=" + canary + "&password=" + goodPassword, 400},
		{"JSON, Kelvin sign", "/new", json, "{\"to\u212aen\":\"" + canary + "\",\"password\":\"x\"}", 400},
		{"JSON, half a surrogate pair", "/new", json, `{"token":"` + canary + `","password":"\ud800"}`, 400},
		{"large password", "/new", form, "token=" + canary + "&password=" + strings.Repeat("a", 1<<20) + "&password_repeat=a", 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := &fakeSite{}
			w := post(t, newHandler(t, options(site)), "/password-reset"+tt.path, tt.media, tt.body)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
			if len(site.calls) > 0 {
				t.Errorf("the domain was asked: %q", site.calls)
			}
			if strings.Contains(w.Body.String(), canary) || strings.Contains(fmt.Sprint(w.Header()), canary) {
				t.Error("what was sent comes back")
			}
			checkHeaders(t, w)
		})
	}
}

func TestHostileHeaders(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	plain := get(t, h, "/password-reset")
	for name, value := range map[string]string{
		"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "javascript", "X-Forwarded-Prefix": "/evil.test",
		"Forwarded": "host=evil.test;proto=http", "X-Original-URL": "/evil.test", "X-Rewrite-URL": "/evil.test",
		"X-HTTP-Method-Override": "POST", "Origin": "https://evil.test", "Referer": "https://evil.test/",
		"Purpose": "prefetch", "Sec-Purpose": "prefetch", "Sec-Fetch-Site": "cross-site",
	} {
		r := httptest.NewRequest("GET", "https://app.test/password-reset", nil)
		r.Host = "evil.test"
		r.Header.Set(name, value)
		if w := visit(t, h, r); w.Code != 200 || w.Body.String() != plain.Body.String() {
			t.Errorf("%s changes the answer", name)
		}
	}
	for _, coding := range []string{"gzip", "br", "identity", ""} {
		r := httptest.NewRequest("POST", "https://app.test/password-reset", strings.NewReader("login=a"))
		r.Header.Set("Content-Type", form)
		r.Header["Content-Encoding"] = []string{coding}
		if w := visit(t, h, r); w.Code != 415 {
			t.Errorf("Content-Encoding %q: %d", coding, w.Code)
		}
	}
}

// A body that announces more than it may have is refused unread, one that does
// not announce it while it is read, and the connection is no use after that.
func TestLargeBodiesOnTheWire(t *testing.T) {
	server := httptest.NewServer(handle(newHandler(t, options(&fakeSite{}))))
	defer server.Close()
	large := strings.Repeat("a", 1<<20)
	for name, request := range map[string]string{
		"announced": "Content-Length: 104857600\r\n\r\nlogin=",
		"chunked":   "Transfer-Encoding: chunked\r\n\r\n100000\r\n" + large + "\r\n0\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(conn, "POST /password-reset HTTP/1.1\r\nHost: app.test\r\nContent-Type: "+form+"\r\n"+request)
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if r.StatusCode != 413 {
			t.Errorf("%s: %s", name, r.Status)
		}
		conn.Close()
	}
}

// Nothing that looks like a template or a placeholder is one.
func TestNothingIsExpanded(t *testing.T) {
	h := newHandler(t, options(&fakeSite{}))
	for _, login := range []string{"{env.HOME}", "{{.Site}}", "${jndi:ldap://x}", "%s%n", "{site}", "<script>alert(1)</script>"} {
		r := httptest.NewRequest("POST", "https://app.test/password-reset/code", strings.NewReader("code=1&login="+strings.NewReplacer("%", "%25", "&", "%26").Replace(login)))
		r.Header.Set("Content-Type", form)
		page := visit(t, h, r).Body.String()
		escaped := strings.NewReplacer("<", "&lt;", ">", "&gt;", "{{", "{&#123;").Replace(login)
		if !strings.Contains(page, `value="`+escaped+`"`) {
			t.Errorf("%q is not shown as it was typed", login)
		}
	}
}
