package dialect_test

import (
	"net/http/httptest"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

// catalyzePreflight is the vendor's answer to a page of any origin.
var catalyzePreflight = expected{204, map[string]string{
	"Access-Control-Allow-Origin":  "*",
	"Access-Control-Allow-Headers": "x-api-key, authorization, accept",
	"Access-Control-Allow-Methods": "GET",
	"Content-Type":                 "",
	"Content-Length":               "",
}, ""}

func TestPreflight(t *testing.T) {
	const page = "https://app.example.net"
	for _, tt := range []struct {
		name, dialect, target string
		origins               []string
		header                []string
		want                  map[string]string
	}{
		{
			"Catalyze, any", "catalyze", catalyzeUser + "cesare",
			[]string{"*"},
			[]string{"Origin: " + page, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: X-Api-Key, Authorization"},
			catalyzePreflight.header,
		},
		{
			"Catalyze, no page", "catalyze", catalyzeUser + "cesare", []string{"*"}, nil, catalyzePreflight.header,
		},
		{
			"Catalyze, listed", "catalyze", catalyzeUser + "cesare",
			[]string{page},
			[]string{"Origin: " + page},
			map[string]string{
				"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "GET",
				"Access-Control-Allow-Headers": "x-api-key, authorization, accept", "Vary": "Origin",
			},
		},
		{
			"Catalyze, not listed", "catalyze", catalyzeUser + "cesare",
			[]string{page},
			[]string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
			map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "", "Vary": "Origin"},
		},
		{
			"Payabli, listed", "payabli", "/api/User/authreset",
			[]string{"https://other.example", page},
			[]string{"Origin: " + page, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,requesttoken"},
			map[string]string{
				"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "POST",
				"Access-Control-Allow-Headers": "content-type, requesttoken, authorization", "Vary": "Origin",
			},
		},
		{
			"Payabli, default", "payabli", "/api/User/authreset", nil,
			[]string{"Origin: " + page, "Sec-Fetch-Site: cross-site"},
			map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "", "Vary": ""},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := dialect.New(tt.dialect)
			setOption(t, d, "origins", tt.origins)
			// It comes before any check: browsers send no credential with it.
			for _, credential := range []string{"api_key", "request_token"} {
				if hasOption(d, credential) {
					setOption(t, d, credential, []string{"some-key"})
				}
			}
			w := newWorld(t, map[string]web.Dialect{tt.dialect: d})
			compare(t, w.do("OPTIONS", tt.target, tt.header, ""), expected{204, tt.want, ""})
			if calls := w.asked(); calls != nil {
				t.Errorf("the domain was asked: %q", calls)
			}
		})
	}
}

// HTTP/1 would drop the length that an answer of this kind may not have, HTTP/2
// sends it.
func TestPreflightHasNoLength(t *testing.T) {
	w := speakCatalyze(t, nil)
	answer := httptest.NewRecorder()
	w.server.Config.Handler.ServeHTTP(answer, httptest.NewRequest("OPTIONS", catalyzeUser+"cesare", nil))
	for _, name := range []string{"Content-Length", "Content-Type"} {
		if value := answer.Header().Values(name); value != nil {
			t.Errorf("%s: %q", name, value)
		}
	}
}
