package dialect_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

func TestBaasBoxMounted(t *testing.T) {
	w := speakBaasBox(t, func(b *dialect.BaasBox) { b.Path, b.ApplicationName, b.APIVersion = "/bb", "Shop & Co", "1.0" })
	compare(t, w.do("GET", "/bb"+baasboxPath, baasboxHeader, ""), baasboxAnswer(200, baasboxOK))
	link := "/bb/user/password/reset/" + liveToken + ".json"
	if got := w.do("GET", link, nil, ""); got.body != `{"user_name":"cesare","link":"`+link+`","token":"`+liveToken+`","application_name":"Shop & Co"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := w.do("GET", "/bb"+baasboxPath+"/x", nil, ""); !strings.HasSuffix(got.body, `"resource":"/bb`+baasboxPath+`/x","method":"GET","request_header":{"Host":["app.example.com"]},"API_version":"1.0","http_code":404}`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := w.do("GET", baasboxPath, baasboxHeader, ""); !got.foreign {
		t.Errorf("the root is not ours: %d %s", got.status, got.body)
	}
	contract, err := new(dialect.BaasBox).Open()
	if err != nil {
		t.Fatal(err)
	}
	if got := contract.LinkPath("T1"); got != "/user/password/reset/T1" {
		t.Errorf("the link is %s", got)
	}
}

func TestBaasBoxUsername(t *testing.T) {
	for _, tt := range []struct{ segment, login string }{
		{"cesare%40example.com", "cesare@example.com"},
		{"cesare@example.com", "cesare@example.com"},
		{"Cesare", "Cesare"},
		{"a%20b", "a b"},
		{"a+b", "a+b"},
		{"a%2Bb", "a+b"},
		{"a%2Fb", "a/b"},
		{"a%252Fb", "a%2Fb"},
		{"c%C3%A9sar", "césar"},
		{"password", "password"},
		{"reset", "reset"},
	} {
		t.Run(tt.segment, func(t *testing.T) {
			w := speakBaasBox(t, nil)
			compare(t, w.do("GET", "/user/"+tt.segment+"/password/reset", baasboxHeader, ""), baasboxAnswer(200, baasboxOK))
			if !cmp.Equal(w.logins(), []string{tt.login}) {
				t.Errorf("resets of %q", w.logins())
			}
		})
	}
	for _, segment := range []string{"%00", "a%0Ab", "%FF", strings.Repeat("a", 255)} {
		w := speakBaasBox(t, func(b *dialect.BaasBox) { b.AppCode, b.RevealAccounts = "own", true })
		target := "/user/" + segment + "/password/reset"
		compare(t, w.do("GET", target, []string{"X-BAASBOX-APPCODE: own"}, ""), baasboxAnswer(400,
			`{"result":"error","message":"The 'username' field in the URL is not valid","resource":"`+target+
				`","method":"GET","request_header":{"Host":["app.example.com"],"X-BAASBOX-APPCODE":["own"]},"API_version":"0.9.5"}`))
	}
}

func TestBaasBoxNotFound(t *testing.T) {
	const link = "/user/password/reset/{token}"
	for _, tt := range []struct{ method, target, resource string }{
		{"POST", baasboxPath, baasboxPath},
		{"PUT", baasboxPath + "?x=1", baasboxPath},
		{"HEAD", baasboxPath, baasboxPath},
		{"DELETE", baasboxPath, baasboxPath},
		{"GET", baasboxPath + "/", baasboxPath + "/"},
		{"GET", baasboxPath + "/x/y", baasboxPath + "/x/y"},
		{"GET", "/user/password/password/reset/x", "/user/password/password/reset/x"},
		{"PUT", "/user/password/reset/" + liveToken, link},
		{"DELETE", "/user/password/reset/" + liveToken + ".json", link},
		{"GET", "/user/password/reset/" + liveToken + "/", link},
		{"GET", "/user/password/reset/x/" + liveToken, link},
		{"GET", "/user/password/reset", link},
		{"GET", "/USER/PASSWORD/RESET/x/" + liveToken, link},
	} {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			w := speakBaasBox(t, nil)
			body := `{"result":"error","message":"API not found","resource":"` + tt.resource + `","method":"` + tt.method +
				`","request_header":` + baasboxEcho + `,"API_version":"0.9.5","http_code":404}`
			if tt.method == "HEAD" {
				body = ""
			}
			compare(t, w.do(tt.method, tt.target, baasboxHeader, ""), expected{404, map[string]string{
				"Content-Type": "application/json; charset=utf-8", "Access-Control-Allow-Headers": "", "Allow": "",
			}, body})
			if w.asked() != nil {
				t.Errorf("asked %q", w.asked())
			}
		})
	}
	// What is not below is the app's.
	w := speakBaasBox(t, nil)
	for _, target := range []string{"/user", "/user/cesare", "/user/cesare/password", "/login", "/user/password", "/user/cesare/password/resetting"} {
		if got := w.do("GET", target, nil, ""); !got.foreign {
			t.Errorf("%s is taken from the app: %d %s", target, got.status, got.body)
		}
	}
}

// Another reading of a path than ours must not bring a reset to the app behind,
// nor a token back.
func TestBaasBoxCrookedPaths(t *testing.T) {
	w := speakBaasBox(t, nil)
	for _, target := range []string{
		"/user/cesare/password%2Freset", "/user%2Fcesare%2Fpassword%2Freset", "//user/cesare/password/reset", "/user/cesare//password/reset",
		"/user/x/../cesare/password/reset", "/user/cesare/password/reset;x", "/user/cesare/./password/reset", "/user/cesare/password/%72eset/", "/user/cesare/password/reset%00",
		"/user/password/reset%2F" + liveToken, "/user/password/reset//" + liveToken, "/user/password/./reset/" + liveToken, "/user/password/x/../reset/" + liveToken,
		"/user;x/password/reset/" + liveToken, "/x/..;/user/password/reset/" + liveToken, "/user%2Fpassword/reset/" + liveToken, "/USER/password/reset/%2e%2e/" + liveToken,
	} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
			got := w.do(method, target, baasboxHeader, "")
			if got.foreign || got.status != 400 && got.status != 404 && method != "OPTIONS" || strings.Contains(got.body, liveToken) {
				t.Errorf("%s %s: foreign %t, %d %s", method, target, got.foreign, got.status, got.body)
				continue
			}
			checkCommon(t, got)
			var doc map[string]any
			if (method == "GET" || method == "POST") && (json.Unmarshal([]byte(got.body), &doc) != nil || doc["result"] != "error" || doc["API_version"] != "0.9.5") {
				t.Errorf("%s %s: %s", method, target, got.body)
			}
		}
	}
	if w.asked() != nil {
		t.Errorf("asked %q", w.asked())
	}
}

func TestBaasBoxOptions(t *testing.T) {
	const all = "OPTIONS, GET, POST, PUT, DELETE"
	for _, target := range []string{baasboxPath, baasboxPath + "/x", "/user/password/reset/" + liveToken, "/user/password/reset/" + liveToken + ".json", "/user/password/reset/x/y"} {
		for _, tt := range []struct{ name, wanted, allowed string }{
			{"with a list", "X-BB-SESSION, X-BAASBOX-APPCODE", "X-BB-SESSION, X-BAASBOX-APPCODE"},
			{"without", "", ""},
			{"no list", `x"<y>`, ""},
			{"too long", strings.Repeat("a", 5000), ""},
		} {
			t.Run(target+" "+tt.name, func(t *testing.T) {
				w := speakBaasBox(t, nil)
				header := []string{"Origin: https://other.example", "Access-Control-Request-Method: GET"}
				if tt.wanted != "" {
					header = append(header, "Access-Control-Request-Headers: "+tt.wanted)
				}
				compare(t, w.do("OPTIONS", target, header, ""), expected{200, map[string]string{
					"Allow": all, "Access-Control-Allow-Methods": all, "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": tt.allowed,
				}, ""})
				if w.asked() != nil {
					t.Errorf("asked %q", w.asked())
				}
			})
		}
	}
	for _, tt := range []struct{ origin, target, allowed string }{
		{"https://page.example", baasboxPath, "https://page.example"},
		{"https://other.example", baasboxPath, ""},
		{"https://page.example", "/user/password/reset/" + liveToken, ""},
	} {
		w := speakBaasBox(t, func(b *dialect.BaasBox) { b.Origins = []string{"https://page.example"} })
		methods := ""
		if tt.allowed != "" {
			methods = all
		}
		compare(t, w.do("OPTIONS", tt.target, []string{"Origin: " + tt.origin}, ""), expected{200, map[string]string{
			"Allow": all, "Access-Control-Allow-Origin": tt.allowed, "Access-Control-Allow-Methods": methods,
		}, ""})
	}
}
