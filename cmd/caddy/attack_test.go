package main

import (
	"net/http"
	"net/url"
	"strings"
)

// attack sends the canaries in all places of all routes. The token ends no
// grant by it: nothing here is a whole request for a change or a cancellation.
func (c *canaries) attack(token string) {
	c.t.Helper()
	paths := []string{
		"/password-reset/link/" + token,
		"/password-reset/link/" + token + "/",
		"/password-reset/link/" + token + "/x",
		"/PASSWORD-RESET/Link/" + token,
		"//password-reset//link//" + token,
		"/x/../password-reset/./link/" + token,
		"/password-reset%2Flink%2F" + token,
		"/%70assword-reset/link/" + token,
		"/password-reset/link;" + token,
		"/password-reset;x/link/" + token,
		"/password-reset%5Clink%5C" + token,
		"/password-reset/link%00/" + token,
		"/password-reset/link/%zz" + token,
		c.Site + "/password-reset/link/" + token,
		"/password-reset/cancel/" + token + "/x",
		"/Password-Reset//cancel/" + token + ";x",
		"/password-reset/" + token,
		"/password-reset/new",
		"/password-reset/code",
		"/password-reset/sent",
		"/password-reset/done",
		"/password-reset/pending",
		"/password-reset/policy",
		"/password-reset",
		"/forgot-password/" + token,
		"/Forgot-Password;" + token,
		"/x/..//forgot-password/" + token,
		"/.well-known/change-password",
	}
	form := url.Values{"login": {c.login}, "token": {token}, "password": {c.password}}
	bodies := []string{
		"",
		form.Encode(),
		form.Encode() + "&login=" + url.QueryEscape(c.address) + "&code=12345678",
		`{"login":"` + c.address + `","token":"` + token,
		`{"token":["` + token + `"],"login":{"` + c.login + `":1}}`,
		`{"login":"` + strings.Repeat(c.address, 1000) + `"}`,
	}
	type headers = []string
	kinds := []headers{
		nil,
		{"Content-Type", "multipart/form-data; boundary=" + token},
		{"Content-Type", "text/plain; charset=" + token},
		{"Content-Encoding", "gzip"},
		{"Origin", "https://" + token + ".example.net", "Sec-Fetch-Site", "cross-site"},
	}
	query := "?" + form.Encode()
	common := headers{
		"Referer", c.Site + "/password-reset/link/" + token, "Cookie", "password-reset=" + token, "User-Agent", token,
		"Accept-Language", token, "X-Forwarded-For", token, "Authorization", "Bearer " + token,
	}
	send := func(method, path, body string, header ...string) {
		r, err := c.try(method, path, body, header...)
		if err != nil {
			return // a body that was refused while it was sent
		}
		if to := r.Header.Get("Location"); strings.Contains(to, token) || strings.Contains(to, c.login) {
			c.t.Errorf("%s %s leads to %s", method, path, to)
		}
		for _, name := range []string{"RESET_KEY", "RESET_WEBHOOK_SECRET", "RESET_SMTP_PASSWORD"} {
			if strings.Contains(string(r.Raw), c.Env[name]) {
				c.t.Errorf("the answer to %s %s holds %s", method, path, name)
			}
		}
		if r.Status >= 500 && r.Status != http.StatusServiceUnavailable {
			c.t.Errorf("%s %s is answered %d", method, path, r.Status)
		}
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "PUT", "OPTIONS", "BREW" + token[:4]} {
			send(method, path+query, "", common...)
		}
		for i, body := range bodies {
			send("POST", path+query, body, append(kinds[i%len(kinds)], common...)...)
			send("POST", path, body)
		}
	}
}
