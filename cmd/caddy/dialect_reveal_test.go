package main

import (
	"net/http"
	"strings"
	"testing"
)

// With reveal_accounts, clients that show the vendor's credential are told
// what the original told everybody. Nobody else is.
func TestDialectRevealsAccountsToItsClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	accounts := people(4)
	accounts[1].Email = ""
	w.employ(accounts, nil)
	w.speak(`
		dialect baasbox {
			app_code {env.BAASBOX_CODE}
			reveal_accounts
		}
		dialect buddy {
			app_id ` + buddyApp + `
			app_key {env.BUDDY_KEY}
			reveal_accounts
		}
		dialect catalyze {
			api_key {env.CATALYZE_KEY}
		}
		dialect payabli {
			request_token {env.PAYABLI_TOKEN}
		}
	`)
	w.start()
	for _, name := range []string{"baasbox", "buddy"} {
		if !strings.Contains(w.log.String(), `"msg":"reveal_accounts: clients that show the credential are told whether an account exists","site":"`+
			strings.TrimPrefix(w.Site, "http://")+`","dialect":"`+name+`"`) {
			t.Errorf("no warning about %s", name)
		}
	}

	device := w.say(phrase{"POST", "/devices", []string{"Content-Type", plainJSON}, `{"appId":"` + buddyApp + `","appKey":"` + buddyKey + `","platform":"x"}`})
	_, token, _ := strings.Cut(device.Body, `"accessToken":"`)
	token, _, _ = strings.Cut(token, `"`)
	buddy := func(login string) phrase { return buddyStart(login).with("Authorization", "Buddy "+token) }
	buddySays := func(status int, name, number, message string) answer {
		return answer{status, plainJSON, `{"status":` + itoa(status) + `,"error":"` + name + `","errorNumber":` + number + `,"message":"` + message + `","request_id":"REQUEST-ID"}`}
	}
	baasboxSays := func(login, message string) answer {
		return answer{http.StatusBadRequest, baasboxJSON, `{"result":"error","message":"` + message + `","resource":"/user/` + login +
			`/password/reset","method":"GET","request_header":{"Host":["` + strings.TrimPrefix(w.Site, "http://") + `"],"X-BAASBOX-APPCODE":["` + baasboxCode + `"]},"API_version":"0.9.5"}`}
	}
	nobody := buddySays(400, "ItemDoesNotExist", "769", "User not found")
	wrong := func(login string) phrase { return baasboxStart(login).with("X-BAASBOX-APPCODE", "wrong") }

	baasboxSays(unknown, "Username "+unknown+" not found!").wants(t, "baasbox, nobody", w.say(baasboxStart(unknown)))
	baasboxSays(homeless, `Cannot reset password, the \"email\" attribute is not defined into the user's private profile`).
		wants(t, "baasbox, no address", w.say(baasboxStart(homeless)))
	baasboxOK.wants(t, "baasbox", w.say(baasboxStart(known)))
	nobody.wants(t, "buddy, nobody", w.say(buddy(unknown)))
	buddySays(400, "ParameterMissingRequiredValue", "513", "The user has no email address.").wants(t, "buddy, no address", w.say(buddy(homeless)))
	buddyOK.wants(t, "buddy", w.say(buddy("person-2")))
	w.mail(known+"@example.com", 1)
	w.mail("person-2@example.com", 1)

	// No credential: nobody learns anything, by whatever way.
	for _, login := range []string{known, unknown, homeless} {
		if r := w.say(wrong(login)); r.Status != http.StatusUnauthorized || !strings.Contains(r.Body, "wrong is an Invalid App Code") {
			t.Errorf("baasbox, wrong code, %s: %d %s", login, r.Status, r.Body)
		}
		for what, p := range map[string]phrase{
			"no token": buddyStart(login).with("Authorization", ""), "made-up token": buddyStart(login).with("Authorization", "Buddy "+strings.Repeat("a", len(token))),
			"damaged token": buddyStart(login).with("Authorization", "Buddy "+token[:len(token)-1]+string('0'+'1'-token[len(token)-1]&1)),
		} {
			if p.header[len(p.header)-1] == "Buddy "+token {
				continue
			}
			buddyOK.wants(t, "buddy, "+what+", "+login, w.say(p))
		}
		catalyzeOK.wants(t, "catalyze, "+login, w.say(catalyzeStart(login)))
		payabliOK.wants(t, "payabli, "+login, w.say(payabliStart(login)))
		w.ask(login)
	}

	// While nobody can find out, nobody is told.
	w.App.SetDown(true)
	baasboxOK.wants(t, "baasbox, app down", w.say(baasboxStart(unknown)))
	buddyOK.wants(t, "buddy, app down", w.say(buddy(unknown)))
	w.App.SetDown(false)

	// Mail that does not leave is told as the original did.
	w.Inbox.SetDown(true)
	w.ask("person-3")
	w.until("the relay is known to be down", func() bool { return strings.Contains(w.log.String(), "mail not handed over yet") })
	baasboxSays(known, "PasswordRecoveryException: Cannot send mail to reset the password:  Could not reach the mail server. Please contact the server administrator").
		wants(t, "baasbox, relay down", w.say(baasboxStart(known)))
	buddySays(500, "UnknownServiceError", "0", "The mail cannot be sent for now. Try again later.").wants(t, "buddy, relay down", w.say(buddy(known)))
	nobody.wants(t, "buddy, relay down, nobody", w.say(buddy(unknown)))
	for _, login := range []string{known, unknown} {
		buddyOK.wants(t, "buddy, relay down, no token, "+login, w.say(buddyStart(login)))
	}
}
