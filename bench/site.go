package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const secret = "whsec_YmVuY2htYXJrIGJlbmNobWFyayBiZW5jaG1hcms="

// ours is a Caddyfile with password reset before the site; plain is one without.
// Limits by address are off, since one driver is all visitors; the limits of an
// account are not, since each has a login of its own. Mails leave as fast as they
// can.
const (
	ours = `{
	admin {admin}
	auto_https off
	grace_period 10s
	log {
		output file {home}/log
	}
	password_reset {
		mails off
		smtp {relay}
	}
}
http://{addr} {
	password_reset {
		base_url http://{addr}
		from support@example.com
		directory file {home}/accounts.csv
		target webhook http://{app}/hooks/password-changed
		webhook_secret {env.RESET_WEBHOOK_SECRET}
		limits {
			per_ip off
		}
	}
	respond "ok"
}
`
	plain = `{
	admin {admin}
	auto_https off
	log {
		output file {home}/log
	}
}
http://{addr} {
	respond "ok"
}
`
)

// fill puts the places of a server into its Caddyfile.
func fill(caddyfile, home, addr, admin string) string {
	return strings.NewReplacer("{home}", home, "{addr}", addr, "{admin}", admin).Replace(caddyfile)
}

// facing puts the peers of a server into its Caddyfile.
func facing(relay, app string) string {
	return strings.NewReplacer("{relay}", relay, "{app}", app).Replace(ours)
}

// login is the n-th of the accounts.
func login(n int) string { return fmt.Sprintf("person-%07d", n) }

// writeAccounts makes a directory of that many accounts.
func writeAccounts(home string, accounts int) error {
	var csv strings.Builder
	csv.WriteString("id,login,email\n")
	for n := range accounts {
		fmt.Fprintf(&csv, "%d,%s,%[2]s@example.com\n", n+1, login(n))
	}
	file := filepath.Join(home, "accounts.csv")
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		return err
	}
	// One that has just been written is read once more.
	long := time.Now().Add(-time.Hour)
	return os.Chtimes(file, long, long)
}

// ask is the request of somebody who forgot the password of the n-th account.
func ask(addr string, n int) []byte { return askFor(addr, login(n)) }

// asking returns the requests of one account after another, from the n-th on but
// for the last, which has asked at the start, until all have asked.
func (b *bench) asking(s *server, first int) func(n int) []byte {
	return func(n int) []byte {
		if first+n >= b.accounts-1 {
			return nil
		}
		return ask(s.addr, first+n)
	}
}

// askFor is the request of somebody who types a login.
func askFor(addr, login string) []byte {
	return post(addr, "/password-reset", `{"login":"`+login+`"}`)
}

// once is one request for a mail.
func once(addr string, request []byte) load {
	return load{
		address: addr, connections: 1,
		request: func(n int) []byte {
			if n > 0 {
				return nil
			}
			return request
		},
		accepts: answered(http.StatusAccepted),
	}
}

// visits is the site's other traffic.
func visits(addr string, connections int) load {
	return load{
		address: addr, connections: connections,
		request: func(int) []byte { return get(addr, "/a/page/of/the/app") },
		accepts: answered(http.StatusOK),
	}
}

// change is the request of somebody who has a mail.
func change(addr, token string) []byte {
	return post(addr, "/password-reset/new", `{"token":"`+token+`","password":"seven lamps over the bridge"}`)
}

// changed accepts the answer that the app has the password.
func changed(_, status int, body []byte) error {
	var answer struct{ Status string }
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK || answer.Status != "changed" {
		return fmt.Errorf("a new password is answered %d: %.200s", status, body)
	}
	return nil
}
