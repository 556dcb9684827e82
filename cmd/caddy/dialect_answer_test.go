package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Clients that are in the wrong are told so in the vendor's form, the same for
// everybody, and no mail comes of it.
func TestDialectRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.employ(people(1), nil)
	w.speak(guardedDialects)
	w.start()
	host := strings.TrimPrefix(w.Site, "http://")

	catalyze := func(status int, message string) func(string) answer {
		return func(string) answer {
			return answer{status, plainJSON, `{"errors":[{"message":"` + message + `","code":` + itoa(status) + `}]}`}
		}
	}
	baasbox := func(status int, message, code, tail string) func(string) answer {
		return func(login string) answer {
			echo := `{"Host":["` + host + `"]`
			if code != "" {
				echo += `,"X-BAASBOX-APPCODE":["` + code + `"]`
			}
			return answer{status, baasboxJSON, `{"result":"error","message":"` + message + `","resource":"/user/` + login +
				`/password/reset","method":"GET","request_header":` + echo + `},"API_version":"0.9.5"` + tail + `}`}
		}
	}
	buddy := func(name string, number int, message string) func(string) answer {
		return func(string) answer {
			return answer{
				http.StatusBadRequest, plainJSON,
				`{"status":400,"error":"` + name + `","errorNumber":` + itoa(number) + `,"message":"` + message + `","request_id":"REQUEST-ID"}`,
			}
		}
	}
	payabli := func(status int, body string) func(string) answer {
		return func(string) answer { return answer{status, plainJSON, `{"isSuccess":false,` + body + `}`} }
	}
	const (
		explained = `,"responseData":{"explanation":"email is missing or not a valid email address"}`
		invalid   = `"responseCode":3003,"responseText":"Invalid parameter value in request"`
		denied    = `"responseText":"Unauthorized"`
	)
	for _, tt := range []struct {
		name   string
		phrase func(login string) phrase
		want   func(login string) answer
	}{
		{"catalyze: wrong key", withHeader(catalyzeStart, "X-Api-Key", "browser x "+strings.Repeat("0", 24)), catalyze(401, "Invalid API key.")},
		{"catalyze: no key", withHeader(catalyzeStart, "X-Api-Key", ""), catalyze(401, "Invalid API key.")},
		{"catalyze: key of two parts", withHeader(catalyzeStart, "X-Api-Key", "browser "+catalyzeKey), catalyze(401, "Invalid API key.")},
		{"catalyze: another app", replace(catalyzeStart, catalyzeApp, "another-app"), catalyze(404, "Application not found.")},
		{"catalyze: method", method(catalyzeStart, "POST"), catalyze(405, "Method not allowed.")},
		{"catalyze: HEAD", method(catalyzeStart, "HEAD"), func(string) answer { return answer{405, plainJSON, ""} }},

		{"catalyze: no name", said(catalyzeStart("a\x07b")), catalyze(400, "Invalid username.")},
		{"catalyze: a long name", said(catalyzeStart(strings.Repeat("a", 255))), catalyze(400, "Invalid username.")},
		{"catalyze: read ahead", withHeader(catalyzeStart, "Sec-Purpose", "prefetch;prerender"), accepted(catalyzeOK)},

		{"baasbox: no name", said(baasboxStart("a\x07b")), func(string) answer {
			return baasbox(400, "The 'username' field in the URL is not valid", baasboxCode, "")("a%07b")
		}},
		{"baasbox: read ahead", withHeader(baasboxStart, "Purpose", "prefetch"), accepted(baasboxOK)},
		{"baasbox: HEAD", method(baasboxStart, "HEAD"), func(string) answer { return answer{404, baasboxJSON, ""} }},
		{
			"baasbox: wrong code", withHeader(baasboxStart, "X-BAASBOX-APPCODE", "nope"),
			baasbox(401, "InvalidAppCodeException: Authentication info not valid or not provided: nope is an Invalid App Code", "nope", `,"http_code":401`),
		},
		{
			"baasbox: the code that everybody knows", openStart,
			baasbox(401, "InvalidAppCodeException: Authentication info not valid or not provided: 1234567890 is an Invalid App Code", "1234567890", `,"http_code":401`),
		},
		{"baasbox: no code", withHeader(baasboxStart, "X-BAASBOX-APPCODE", ""), baasbox(400, "Invalid App Code. AppCode is empty or not set", "", "")},
		{"baasbox: code null", withHeader(baasboxStart, "X-BAASBOX-APPCODE", "null"), baasbox(400, "Invalid App Code. AppCode is empty or not set", "null", "")},

		{"buddy: wrong signature", withHeader(buddyStart, "Authorization", "Buddy devtok "+strings.Repeat("0", 64)), buddy("AuthSignatureInvalid", 258, "The signature in the header Authorization is missing or wrong.")},
		{"buddy: no signature", withHeader(buddyStart, "Authorization", "Buddy devtok"), buddy("AuthSignatureInvalid", 258, "The signature in the header Authorization is missing or wrong.")},
		{"buddy: no token", withHeader(buddyStart, "Authorization", ""), buddy("AuthSignatureInvalid", 258, "The signature in the header Authorization is missing or wrong.")},
		{"buddy: half a body", said(buddyCall("POST", `{"userName":`)), buddy("ParameterIncorrectFormat", 515, "The request is malformed, or a key comes twice.")},
		{"buddy: no body", said(buddyCall("POST", "")), buddy("ParameterIncorrectFormat", 515, "The request is malformed, or a key comes twice.")},
		{"buddy: nobody", said(buddyCall("POST", `{"subject":"s","body":"@ResetCode"}`)), buddy("ParameterMissingRequiredValue", 513, "userName is missing.")},
		{"buddy: no subject", func(l string) phrase { return buddyCall("POST", `{"userName":"`+l+`","body":"@ResetCode"}`) }, buddy("ParameterMissingRequiredValue", 513, "subject is missing.")},
		{"buddy: text null", func(l string) phrase { return buddyCall("POST", `{"userName":"`+l+`","subject":"s","body":null}`) }, buddy("ParameterMissingRequiredValue", 513, "body is missing.")},
		{"buddy: no place for the code", func(l string) phrase { return buddyCall("POST", `{"userName":"`+l+`","subject":"s","body":"no code"}`) }, buddy("ParameterIncorrectFormat", 515, "body does not have @ResetCode, which stands for the code.")},
		{"buddy: subject of two lines", func(l string) phrase {
			return buddyCall("POST", `{"userName":"`+l+`","subject":"a\nb","body":"@ResetCode"}`)
		}, buddy("ParameterIncorrectFormat", 515, "subject has a line end or another control character.")},
		{"buddy: no code", func(l string) phrase {
			return buddyCall("PATCH", `{"userName":"`+l+`","newPassword":"`+newPassword+`"}`)
		}, buddy("ParameterMissingRequiredValue", 513, "resetCode is missing.")},
		{"buddy: no password", func(l string) phrase { return buddyCall("PATCH", `{"userName":"`+l+`","resetCode":"12345678"}`) }, buddy("ParameterMissingRequiredValue", 513, "newPassword is missing.")},
		{"buddy: no name", said(buddyStart("a\x07b")), buddy("ParameterIncorrectFormat", 515, "userName is not a user name.")},
		{"buddy: a large body", said(buddyCall("POST", `{"userName":"`+strings.Repeat("a", 64<<10)+`"}`)), buddy("ParameterIncorrectFormat", 515, "The body is larger than 64 KiB.")},
		{"buddy: wrong app key", said(phrase{"POST", "/devices", []string{"Content-Type", plainJSON}, `{"appId":"` + buddyApp + `","appKey":"wrong","platform":"x"}`}), buddy("AuthAppCredentialsInvalid", 261, "appID or appKey is wrong.")},

		{"payabli: wrong token", withHeader(payabliStart, "requestToken", "wrong"), payabli(401, denied)},
		{"payabli: no token", withHeader(payabliStart, "requestToken", ""), payabli(401, denied)},
		{"payabli: no address", said(payabliSaid("{}")), payabli(400, invalid+explained)},
		{"payabli: no name", said(payabliStart("a\x07b")), payabli(400, invalid+explained)},
		{"payabli: a large body", said(payabliSaid(`{"email":"` + strings.Repeat("a", 64<<10) + `"}`)), payabli(413, invalid)},
		{"payabli: an array", said(payabliSaid("[]")), payabli(400, invalid)},
		{"payabli: half a body", said(payabliSaid(`{"email":`)), payabli(400, invalid)},
		{"payabli: no body", said(payabliSaid("")), payabli(400, invalid)},
		{"payabli: entry alone", func(l string) phrase { return payabliSaid(`{"email":"` + l + `@example.com","entry":"acme"}`) }, payabli(400, invalid)},
		{"payabli: entry of another type", func(l string) phrase {
			return payabliSaid(`{"email":"` + l + `@example.com","entry":"acme","entryType":1}`)
		}, payabli(400, invalid)},
		{"payabli: a form", func(l string) phrase {
			return payabliSaid("email="+l+"%40example.com").with("Content-Type", "application/x-www-form-urlencoded")
		}, payabli(400, invalid)},
		{"payabli: method", method(payabliStart, "GET"), payabli(405, `"responseText":"Method not allowed"`)},
	} {
		for _, login := range []string{known, unknown} {
			r := w.say(tt.phrase(login))
			tt.want(login).wants(t, tt.name+", "+login, r)
			if (r.Status == http.StatusMethodNotAllowed) != (r.Header.Get("Allow") != "") {
				t.Errorf("%s: status %d with Allow %q", tt.name, r.Status, r.Header.Get("Allow"))
			}
			// A page that may call may also read why it was refused.
			if got := r.Header.Get("Access-Control-Allow-Origin"); (got == "*") == strings.HasPrefix(tt.name, "payabli") {
				t.Errorf("%s: Access-Control-Allow-Origin is %q", tt.name, got)
			}
		}
	}
	w.stop()
	if log := w.log.String(); strings.Contains(log, "reset asked for") {
		t.Error("a reset was asked for")
	}
}

func withHeader(start func(string) phrase, header, value string) func(string) phrase {
	return func(login string) phrase { return start(login).with(header, value) }
}

func method(start func(string) phrase, name string) func(string) phrase {
	return func(login string) phrase {
		p := start(login)
		p.method = name
		return p
	}
}

func replace(start func(string) phrase, old, text string) func(string) phrase {
	return func(login string) phrase {
		p := start(login)
		p.target = strings.ReplaceAll(p.target, old, text)
		return p
	}
}

func accepted(a answer) func(string) answer { return func(string) answer { return a } }

func said(p phrase) func(string) phrase { return func(string) phrase { return p } }

func payabliSaid(body string) phrase {
	p := payabliStart("")
	p.body = body
	return p
}

func itoa(n int) string { return strconv.Itoa(n) }
