package mutant

// secrets break: no secret is in clear where it does not belong.
var secrets = []Mutant{
	{
		Gone: "a page is no template to Caddy",
		File: "web/page.go",
		Old:  `, "{{", "{&#123;")`,
		New:  `)`,
		Run:  "^TestNothingIsExpanded$",
	},
	{
		Gone: "a sealed value is bound to its place",
		File: "kv/sealed/store.go",
		Old:  "append(make([]byte, 0, len(s.secrets.instance)+len(key)), s.secrets.instance[:]...), key...)",
		New:  "append(make([]byte, 0, len(s.secrets.instance)), s.secrets.instance[:]...))",
		Run:  "^TestMovedAndSwapped$",
	},
	{
		Gone: "values are sealed",
		File: "kv/sealed/store.go",
		Old:  "return t.inner.Put(key, t.store.seal(key, value))",
		New:  "return t.inner.Put(key, value)",
		Run:  "^TestRotation$",
	},
	{
		Gone: "each value has a nonce of its own",
		File: "kv/sealed/store.go",
		Old: `	rand.Read(out)
	return s.aead`,
		New: `	_ = rand.Read
	return s.aead`,
		Run: "^TestNoncesDiffer$",
	},
	{
		Gone: "a key file that others may read is refused",
		File: "kv/sealed/key.go",
		Old:  "mode&0o077 != 0 &&",
		New:  "mode&0o077 == 0o777 &&",
		Run:  "^TestKeyFileModes$",
	},
	{
		Gone: "a store that others may read is tightened",
		File: "embeddedstore/file.go",
		Old:  "if mode.Perm()&0o077 == 0 ||",
		New:  "if mode.Perm() != 0 ||",
		Run:  "^TestTighten$",
	},
	{
		Gone: "our requests stay out of Caddy's access log",
		File: "caddymodule/handler.go",
		Old: `	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
`,
		Run: "^TestNothingSecretIsLogged$",
	},
	{
		Gone: "a redirect of a hook is not followed",
		File: "webhookout/client.go",
		Old:  "resp, err := c.transport.RoundTrip(req)",
		New:  "resp, err := (&http.Client{Transport: c.transport}).Do(req)",
		Run:  "^TestHostileApps$",
	},
	{
		Gone: "a proxy in the environment gets no password",
		File: "webhookout/client.go",
		Old:  "Proxy: nil, // never",
		New:  "Proxy: http.ProxyFromEnvironment, // never",
		Run:  "^TestRebinding$",
	},
	{
		Gone: "what a hook answers is not quoted",
		File: "webhookout/answer.go",
		Old:  `return &fault{text: "no valid HTTP answer"}`,
		New:  "return &fault{text: err.Error()}",
		Run:  "^TestHostileApps$",
	},
	{
		Gone: "clear text goes to this machine only, as dialled",
		File: "webhookout/endpoint.go",
		Old: `	if e.reach != reachAnywhere {
		// The name`,
		New: `	if false {
		// The name`,
		Run: "^TestRebinding$",
	},
	{
		Gone: "the certificate of a relay is verified",
		File: "smtpout/security.go",
		Old:  "&tls.Config{ServerName: host,",
		New:  "&tls.Config{InsecureSkipVerify: true, ServerName: host,",
		Run:  "^TestTLS$",
	},
	{
		Gone: "the certificate of a hook is verified",
		File: "webhookout/client.go",
		Old:  "&tls.Config{MinVersion:",
		New:  "&tls.Config{InsecureSkipVerify: true, MinVersion:",
		Run:  "^TestTLS$",
	},
	{
		Gone: "a login at the relay needs TLS",
		File: "smtpout/client.go",
		Old:  `if o.User != "" && c.security == off {`,
		New:  "if false {",
		Run:  "^TestOptions$",
	},
	{
		Gone: "mail in clear goes to this machine only",
		File: "smtpout/security.go",
		Old: `		if !loopback(host) {
			return fmt.Errorf`,
		New: `		if false {
			return fmt.Errorf`,
		Run: "^TestOptions$",
	},
	{
		Gone: "the value of a panic is not logged (worker)",
		File: "reset/reset.go",
		Old:  `s.alarm(site, "panic while "+doing, fmt.Errorf("%T", value))`,
		New:  `s.alarm(site, "panic while "+doing, fmt.Errorf("%v", value))`,
		Run:  "^TestPanicsOfAdaptersEndOneAttempt$",
	},
	{
		Gone: "the value of a panic is not logged (request)",
		File: "web/exchange.go",
		Old:  `"panic while answering a request", "error", fmt.Sprintf("%T", v)`,
		New:  `"panic while answering a request", "error", fmt.Sprintf("%v", v)`,
		Run:  "^TestDomainIsReleased$",
	},
	{
		Gone: "a Referer never carries the path",
		File: "web/exchange.go",
		Old:  `h.Set("Referrer-Policy", "strict-origin")`,
		New:  `h.Set("Referrer-Policy", "unsafe-url")`,
		Run:  "^TestCode$",
	},
	{
		Gone: "nothing of ours is kept by caches",
		File: "web/exchange.go",
		Old: `	h.Set("Cache-Control", "no-store")
`,
		Run: "^TestCode$",
	},
	{
		Gone: "logins are compared in ASCII only",
		File: "reset/account.go",
		Old: `	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)`,
		New: `	return strings.ToLower(s)`,
		Run: "^TestLoginsAreFoldedInASCIIOnly$",
	},
	{
		Gone: "an address has no quoted local part",
		File: "reset/address.go",
		Old:  "strings.ContainsRune(\"!#$%&'*+-/=?^_`{|}~\", r)",
		New:  "strings.ContainsRune(\"!#$%&'*+-/=?^_`{|}~\\\"<> \", r)",
		Run:  "^TestHostileAddress$",
	},
	{
		Gone: "a message has no bare CR or LF",
		File: "smtpout/session.go",
		Old:  `bytes.Count(data, []byte("\r")) == lines && bytes.Count(data, []byte("\n")) == lines`,
		New:  "lines >= 0",
		Run:  "^TestHostileMessages$",
	},
	{
		Gone: "the answer of a relay is not quoted",
		File: "smtpout/failure.go",
		Old: `	case f.code == 0:
		return fmt.Sprintf("smtp: %s: %s", f.stage, f.cause)`,
		New: `	case f.code == 0:
		return fmt.Sprintf("smtp: %s: %s", f.stage, f.cause)
	case true:
		return fmt.Sprint(f.stage, f.code, f.enhanced, f.cause, "alice@example.com")`,
		Run: "^TestAuthRefused$",
	},
	{
		Gone: "a token is not put in a redirect",
		File: "web/ask.go",
		Old: `x.choose(site, http.StatusOK, token, "")
`,
		New: `x.redirect(http.StatusSeeOther, x.prefix+"/link/"+token)
`,
		Run: "^TestCode$",
	},
	{
		Gone: "a placeholder in a secret is not quoted",
		File: "caddymodule/placeholder.go",
		Old:  `return "", fmt.Errorf("%s: %w", name, errBraces)`,
		New:  `return "", err`,
		Run:  "^TestRefusedReload$",
	},
	{
		Gone: "the verifier of a link is stored as a hash",
		File: "reset/token.go",
		Old: `	h := sha256.Sum256(t.verifier[:])
	return h[:]`,
		New: `	_ = sha256.Sum256
	return t.verifier[:]`,
		Run: "^TestSecretsAreStoredAsHashes$",
	},
	{
		Gone: "a code is stored as an HMAC",
		File: "reset/grant.go",
		Old: `	h := s.svc.index.Index("code", s.config.ID, hex.EncodeToString(g[:]), code)
	return h[:16]`,
		New: `	_ = hex.EncodeToString
	return []byte(code)`,
		Run: "^TestSecretsAreStoredAsHashes$",
	},
	{
		Gone: "nothing is read behind the answer of a hook",
		File: "webhookout/client.go",
		Old:  "DisableKeepAlives:      true,",
		New:  "DisableKeepAlives:      false,",
		Run:  "^TestEchoBehindAnAnswerIsNotLogged$",
	},
	{
		Gone:    "what a relay says out of turn is not quoted",
		File:    "smtpout/failure.go",
		Old:     `return "relay does not follow the protocol"`,
		New:     "return err.Error()",
		Package: "./cmd/caddy",
		Run:     "^TestTrialRelays$",
	},
	{
		Gone: "no mail goes in clear to a relay that offers no STARTTLS",
		File: "smtpout/session.go",
		Old: `	if !offered {
		return misconfigured(stageStartTLS`,
		New: `	if false {
		return misconfigured(stageStartTLS`,
		Package: "./cmd/caddy",
		Run:     "^TestTrialRelays$",
	},
	{
		Gone: "nothing counts that was said before TLS, and not asked for",
		File: "smtpout/session.go",
		Old:  "if !s.quiet() {",
		New:  "if false {",
		Run:  "^TestTLS$",
	},
	{
		Gone: "TLS to a relay is not an outdated one",
		File: "smtpout/security.go",
		Old:  "MinVersion: tls.VersionTLS12}",
		New:  "MinVersion: tls.VersionTLS10}",
		Run:  "^TestTLS$",
	},
}
