package caddymodule

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
)

// manyRows is how many accounts of a file are worth a word: each start and each
// change of the file reads all of them.
const manyRows = 500_000

// checkDirectory tries the hook, if it is one, and looks up a login that nobody
// has: most wrong settings show there.
func (c *checkup) checkDirectory(ctx context.Context, s *site) []Finding {
	var found []Finding
	if file, ok := s.config.Directory.(*directory.File); ok {
		f := Finding{Step: "file", Seen: several(file.Rows(), "account")}
		if file.Rows() > c.app.horizon.rows {
			f.Problem = "all of them are read at each start and whenever the file changes"
			f.Cure = "use `directory webhook` if a start takes too long"
		}
		found = append(found, f)
	} else {
		found = checkAdapter(ctx, s.config.Directory)
	}
	for _, f := range found {
		if f.Broken {
			return found
		}
	}
	step := Finding{Step: "lookup", Seen: "a login that nobody has is answered as unknown"}
	login := "check-" + strings.ToLower(rand.Text()[:12])
	switch accounts, err := s.config.Directory.Lookup(ctx, login); {
	case err != nil:
		step.fail("looking up a login that nobody has fails: "+err.Error(),
			`have the app answer 200 with {"accounts":[]} to a login that it does not know; see docs/receivers.md`)
	case len(accounts) > 0:
		step.fail(fmt.Sprintf("the directory has %s for the login %q, which nobody can have", several(len(accounts), "account"), login),
			"have the app compare the whole login, without regard to ASCII case only: mails would go to people who did not ask")
	}
	return append(found, step)
}
