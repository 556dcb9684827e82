package passwords_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

var alice = []string{"alice.smith7", "alice.smith7@mail.example.org", "Alice Smîth"}

func policy(t testing.TB, o passwords.Options) *passwords.Policy {
	t.Helper()
	p, err := passwords.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func codes(reasons []passwords.Reason) string {
	var s []string
	for _, r := range reasons {
		s = append(s, string(r.Code))
	}
	return strings.Join(s, " ")
}

func TestCheckAtFifteen(t *testing.T) {
	p := policy(t, passwords.Options{
		Site:      []string{"Blue Heron", "app.heron.example"},
		Blocklist: []string{"Zephyrion", "ünïcode-wörter"},
	})
	for name, c := range map[string]struct{ password, want string }{
		"empty":                        {"", "too_short"},
		"short":                        {"qvmtzrklpwyxnb", "too_short"},
		"short and common":             {"password", "too_short common"},
		"random letters":               {"qvmtzrklpwyxnbd", ""},
		"random digits":                {"739150284617305", ""},
		"passphrase":                   {"cobalt walnut teacup ferry", ""},
		"spaces and symbols":           {`" pass  word\%+&'`, ""},
		"emoji":                        {"🐧🦀🐍🐘🐳🦊🐝🐙🦉🐸🐊🐢🐬🐡🦩", ""},
		"zero-width no-break space":    {"\ufeffqvmtzrklpwyxnb", ""},
		"tab":                          {"qvmtzrkl\tpwyxnbd", "not_text"},
		"nul":                          {"qvmtzrkl\x00pwyxnbd", "not_text"},
		"c1 control":                   {"qvmtzrkl\u0085pwyxnbd", "not_text"},
		"not utf-8":                    {"qvmtzrkl\xffpwyxnbd", "not_text"},
		"128":                          {strings.Repeat("qvmtzrklpwyxnbdc", 7) + "0918273645afgjzx", ""},
		"129":                          {strings.Repeat("qvmtzrklpwyxnbdc", 7) + "0918273645afgjzxy", "too_long"},
		"513 bytes":                    {strings.Repeat("🐧", 128) + "a", "too_long"},
		"word twice":                   {"passwordpassword", "common"},
		"word once and a half":         {"passwordpasswor", "common"},
		"word twice in a longer one":   {"passwordpassword-and-more-words", ""},
		"word, other case":             {"PassWordPASSWORD", "common"},
		"word and digits":              {"Password1234567", "common"},
		"word, year, marks":            {"Password2024!!!", "common"},
		"word twice and trifles":       {"passwordpassword-2026", "common"},
		"word in between":              {"12345monkey67890", "common"},
		"word twice, separated":        {"monkey-monkey_123", "common"},
		"word and own digits":          {"password739150284", ""},
		"word in leet":                 {"P@ssw0rdP@ssw0rd", "common"},
		"word in leet, once":           {"P@$$w0rd1234567", "common"},
		"listed, long":                 {"congratulations", "common"},
		"digits in order":              {"123456789012345", "common"},
		"digits downwards":             {"987654321098765", "common"},
		"keypad columns":               {"147258369147258", "common"},
		"alphabet":                     {"abcdefghijklmno", "common"},
		"alphabet across its end":      {"uvwxyzabcdefghi", "common"},
		"alphabet, doubled":            {"aabbccddeeffgghh", "common"},
		"keyboard rows":                {"qwertyuiopasdfg", "common"},
		"keyboard columns":             {"1qaz2wsx3edc4rfv", "common"},
		"keyboard zigzag":              {"1q2w3e4r5t6y7u8i", "common"},
		"keyboard shifted":             {"!@#$%^&*()qwert", "common"},
		"two runs":                     {"qwerty123456789", "common"},
		"one letter":                   {"aaaaaaaaaaaaaaa", "common"},
		"short unit":                   {"xkq7xkq7xkq7xkq7", "common"},
		"seven random characters":      {"xkq7mzpxkq7mzp-xkq7mzpxkq7mzp-", ""},
		"random unit of eight":         {"xkq7mzp2xkq7mzp2", ""},
		"letters of another alphabet":  {"щукаворонёнокльдина", ""},
		"alphabet of another alphabet": {"абвгдежзийклмноп", "common"},
		"operator's word":              {"zephyrion", "too_short common"},
		"operator's word, long":        {"Zephyrion2026!!", "common"},
		"operator's word, decomposed":  {"u\u0308ni\u0308code-wo\u0308rter-", ""},
		"login and digits":             {"alice.smith7123", "expected"},
		"login backed by digits":       {"123alice.smith7", "expected"},
		"login part, repeated":         {"alicealicealice", "expected"},
		"login part and a run":         {"alice1234567890", "expected"},
		"login part in leet":           {"4l1ce-@lice-al1ce", "expected"},
		"address":                      {"alice.smith7@mail.example.org", "expected"},
		"address and a mark":           {"Alice.Smith7@Mail.example.org!", "expected"},
		"address part":                 {"mail.example.org", "expected"},
		"name":                         {"Alice Smîth 1987", "expected"},
		"name, decomposed":             {"smi\u0302thsmi\u0302thsmi\u0302th", "expected"},
		"name and a common word":       {"smîthsunflower1", "expected"},
		"site name":                    {"BlueHeron20262026", "expected"},
		"site host":                    {"app.heron.example", "expected"},
		"site name in a passphrase":    {"heron walnut teacup ferry", ""},
		"login in a passphrase":        {"alice cobalt walnut teacup", ""},
		"parts of words of the login":  {"malicious smithereens", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := codes(p.Check(c.password, alice)); got != c.want {
				t.Errorf("%q: got %q, want %q", c.password, got, c.want)
			}
		})
	}
}

func TestCheckAtEight(t *testing.T) {
	p := policy(t, passwords.Options{MinLength: 8})
	for password, want := range map[string]string{
		"password": "common", "12345678": "common", "baseball": "common", "football": "common",
		"superman": "common", "trustno1": "common", "sunshine": "common", "iloveyou": "common",
		"starwars": "common", "1234567890": "common", "qwertyuiop": "common", "michelle": "common",
		"computer": "common", "password1": "common", "princess1": "common", "p@ssw0rd": "common",
		"admin123": "common", "aaaaaaaa": "common", "abcd1234": "common", "abxyabxy": "common",
		"alice123": "expected", "alice7kq": "expected", "alice7kqm": "",
		"qvmtzrkl": "", "x7k!q2mv": "", "qvmtzrk": "too_short",
		// Somebody with a short login must be able to use a word that holds it.
		"palicest-9k": "",
	} {
		if got := codes(p.Check(password, []string{"alice"})); got != want {
			t.Errorf("%q: got %q, want %q", password, got, want)
		}
	}
}

// Nobody whose password was made at random is to be sent away: with the words
// of an account, of a site, and all the patterns.
func TestRandomPasswordsPass(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		alphabet string
		length   int
	}{
		{"abcdefghijklmnopqrstuvwxyz", 15},
		{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 15},
		{"abcdef0123456789", 24},
	} {
		p := policy(t, passwords.Options{Site: []string{"Example", "www.example.com"}})
		for range 5_000 {
			b := make([]byte, c.length)
			for i := range b {
				b[i] = c.alphabet[random.IntN(len(c.alphabet))]
			}
			if got := p.Check(string(b), alice); got != nil {
				t.Errorf("%q: %v", b, codes(got))
			}
		}
	}
}

func TestReasonsCarryTheirLimit(t *testing.T) {
	p := policy(t, passwords.Options{MaxBytes: passwords.BcryptMaxBytes})
	long := strings.Repeat("é", 37)
	for _, c := range []struct {
		password string
		want     []passwords.Reason
	}{
		{"monkey", []passwords.Reason{{Code: passwords.TooShort, Limit: 15}, {Code: passwords.Common}}},
		{long, []passwords.Reason{{Code: passwords.TooLong, Limit: 72, Bytes: true}}},
	} {
		if diff := cmp.Diff(c.want, p.Check(c.password, nil)); diff != "" {
			t.Error(diff)
		}
	}
}

// One code point is one character, however it was typed: é as one or as two
// counts once.
func TestLengthIsCountedInNFC(t *testing.T) {
	p := policy(t, passwords.Options{})
	if got := codes(p.Check("e\u0301"+"qvmtzrklpwyxn", nil)); got != "too_short" {
		t.Errorf("14 characters in 15 code points: %q", got)
	}
	if got := codes(p.Check("e\u0301"+"qvmtzrklpwyxnb", nil)); got != "" {
		t.Errorf("15 characters in 16 code points: %q", got)
	}
}

func TestNew(t *testing.T) {
	for name, c := range map[string]struct {
		o       passwords.Options
		want    passwords.Rules
		wantErr string
	}{
		"defaults":     {o: passwords.Options{}, want: passwords.Rules{MinLength: 15, MaxLength: 128, MaxBytes: 512}},
		"bcrypt":       {o: passwords.Options{MaxBytes: 72}, want: passwords.Rules{MinLength: 15, MaxLength: 72, MaxBytes: 72}},
		"least":        {o: passwords.Options{MinLength: 8, MaxLength: 64, MaxBytes: 64}, want: passwords.Rules{MinLength: 8, MaxLength: 64, MaxBytes: 64}},
		"min below":    {o: passwords.Options{MinLength: 7}, wantErr: "minimal length 7"},
		"min negative": {o: passwords.Options{MinLength: -1}, wantErr: "minimal length -1"},
		"max below":    {o: passwords.Options{MaxLength: 63}, wantErr: "maximal length 63"},
		"bytes below":  {o: passwords.Options{MaxBytes: 63}, wantErr: "63 bytes"},
		"bytes above":  {o: passwords.Options{MaxBytes: 4097}, wantErr: "4097 bytes"},
		"min over max": {o: passwords.Options{MinLength: 80, MaxLength: 70}, wantErr: "minimal length 80 is above"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := passwords.New(c.o)
			if c.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("got %v, want an error with %q", err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, p.Rules()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := make([]byte, 512)
	for i := range letters {
		letters[i] = byte('a' + random.IntN(26))
	}
	p := policy(b, passwords.Options{MaxLength: 512, Site: []string{"Example", "www.example.com"}})
	for name, password := range map[string]string{
		"passphrase":  "cobalt walnut teacup ferry",
		"random-512":  string(letters),
		"run-512":     strings.Repeat("1qaz", 128),
		"accents-512": strings.Repeat("e\u0301\u0323", 102),
		"login-512":   strings.Repeat("alic", 128),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Check(password, alice)
			}
		})
	}
}
