package reset_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func TestEnvelopeAddress(t *testing.T) {
	label63 := strings.Repeat("d", 63)
	for _, tt := range []struct {
		name, in, want string
	}{
		{"plain", "alice@example.com", "alice@example.com"},
		{"case", "Alice.B@Example.COM", "Alice.B@example.com"},
		{"atext", "!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"},
		{"digits", "42@1.example", "42@1.example"},
		{"hyphen", "a@a-b.c-d", "a@a-b.c-d"},
		{"longest local part", strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com"},
		{"longest label", "a@" + label63 + ".com", "a@" + label63 + ".com"},
		{"U-label", "a@bücher.example", "a@xn--bcher-kva.example"},
		{"A-label", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		{"A-label in capitals", "a@XN--Bcher-kva.example", "a@xn--bcher-kva.example"},
		{"other script", "пошта@приклад.укр", "пошта@xn--80aikifvh.xn--j1amh"},
		{"Hebrew domain", "a@דוגמה.קום", "a@xn--6dbbec0c.xn--9dbq2a"},
		{"marks", "हिन्दी@example.com", "हिन्दी@example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := reset.EnvelopeAddress(tt.in)
			if err != nil || got != tt.want {
				t.Errorf("EnvelopeAddress(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
			if err := reset.ValidAddress(tt.in); err != nil {
				t.Errorf("ValidAddress(%q) = %v", tt.in, err)
			}
		})
	}
}

// hostileAddresses are no addresses here, though some parsers take them.
var hostileAddresses = map[string]string{
	"empty":                     "",
	"no at":                     "alice",
	"no local part":             "@example.com",
	"no domain":                 "alice@",
	"two at":                    "a@b@example.com",
	"ESMTP parameter":           `"evil@evil.test> NOTIFY=NEVER "@app.test`,
	"ESMTP parameter unquoted":  "evil@evil.test> NOTIFY=NEVER <a@app.test",
	"quoted":                    `"alice"@example.com`,
	"quoted space":              `"a b"@example.com`,
	"angle brackets":            "<alice@example.com>",
	"display name":              "Alice <alice@example.com>",
	"comment":                   "alice(x)@example.com",
	"list":                      "a@example.com,b@example.com",
	"list by semicolon":         "a@example.com;b@example.com",
	"group":                     "g:a@example.com;",
	"route":                     "@a.test:b@example.com",
	"percent is atext, bang":    "a@evil.test%app.test@",
	"CRLF":                      "a@example.com\r\nBcc: evil@evil.test",
	"LF in local part":          "a\nb@example.com",
	"NUL":                       "a\x00@example.com",
	"NUL in domain":             "a@example.com\x00",
	"DEL":                       "a\x7f@example.com",
	"leading space":             " a@example.com",
	"trailing space":            "a@example.com ",
	"tab":                       "a\t@example.com",
	"line separator":            "a\u2028@example.com",
	"next line":                 "a\u0085@example.com",
	"no-break space":            "a\u00a0b@example.com",
	"bidi override":             "a\u202eb@example.com",
	"zero-width space":          "a\u200bb@example.com",
	"zero-width joiner":         "a\u200db@example.com",
	"soft hyphen":               "a\u00adb@example.com",
	"byte order mark":           "\ufeffa@example.com",
	"Hangul filler":             "a\u3164@example.com",
	"variation selector":        "a\ufe0f@example.com",
	"grapheme joiner":           "a\u034f@example.com",
	"tag character":             "a\U000e0041@example.com",
	"emoji":                     "😀@example.com",
	"private use":               "\ue000@example.com",
	"not UTF-8":                 "a\xff@example.com",
	"not UTF-8 in domain":       "a@ex\xffample.com",
	"leading dot":               ".a@example.com",
	"trailing dot":              "a.@example.com",
	"double dot":                "a..b@example.com",
	"one label":                 "a@localhost",
	"one letter":                "a@x",
	"address literal":           "a@[127.0.0.1]",
	"IPv6 literal":              "a@[IPv6:::1]",
	"bare IP":                   "a@127.0.0.1",
	"port":                      "a@example.com:25",
	"root dot":                  "a@example.com.",
	"empty label":               "a@example..com",
	"leading dot of domain":     "a@.example.com",
	"underscore":                "a@ex_ample.com",
	"leading hyphen":            "a@-example.com",
	"trailing hyphen":           "a@example-.com",
	"space in domain":           "a@exa mple.com",
	"slash in domain":           "a@example.com/x",
	"full-width domain":         "a@ｅxample.com",
	"ideographic dot":           "a@example。com",
	"full-width at":             "a＠example.com",
	"Kelvin sign in domain":     "a@\u212aelvin.com",
	"ligature in domain":        "a@ﬁne.com",
	"soft hyphen in domain":     "a@exam\u00adple.com",
	"joiner in domain":          "a@exam\u200dple.com",
	"bidi in domain":            "a@exam\u202eple.com",
	"broken A-label":            "a@xn--\u00fc.com",
	"A-label of nothing":        "a@xn--.com",
	"A-label of ASCII":          "a@xn--example-.com",
	"local part 65":             strings.Repeat("a", 65) + "@example.com",
	"label 64":                  "a@" + strings.Repeat("d", 64) + ".com",
	"whole 255":                 "a@" + strings.Repeat("d.", 126) + "c",
	"long":                      strings.Repeat("a", 100_000) + "@example.com",
	"whole long once converted": strings.Repeat("a", 60) + "@" + strings.Repeat("ü.", 27) + "example",
	"long once converted":       "a@" + strings.Repeat("ü.", 60) + "example",
}

func TestHostileAddress(t *testing.T) {
	for name, in := range hostileAddresses {
		t.Run(name, func(t *testing.T) {
			got, err := reset.EnvelopeAddress(in)
			if err == nil {
				t.Fatalf("EnvelopeAddress(%q) = %q", in, got)
			}
			if got != "" || reset.ValidAddress(in) == nil {
				t.Errorf("half accepted: %q", got)
			}
			if len(in) > 3 && strings.Contains(err.Error(), in) {
				t.Errorf("error quotes the address: %v", err)
			}
		})
	}
}

func FuzzEnvelopeAddress(f *testing.F) {
	for _, in := range hostileAddresses {
		f.Add(in)
	}
	f.Add("alice@example.com")
	f.Add("пошта@bücher.example")
	f.Fuzz(func(t *testing.T, in string) {
		out, err := reset.EnvelopeAddress(in)
		if err != nil {
			return
		}
		if len(out) > 254 || !utf8.ValidString(out) || strings.ContainsAny(out, " <>()[]\\,;:\"\r\n\t\x00\x7f") ||
			strings.Count(out, "@") != 1 {
			t.Errorf("EnvelopeAddress(%q) = %q", in, out)
		}
		// What goes out is itself valid and stays what it is.
		if again, err := reset.EnvelopeAddress(out); err != nil || again != out {
			t.Errorf("EnvelopeAddress(%q) = %q, %v, after %q", out, again, err, in)
		}
	})
}
