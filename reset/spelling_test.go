package reset

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// FuzzToken holds that a token has one spelling: what is read is written back
// the same, and no other text opens what a token opens.
func FuzzToken(f *testing.F) {
	good := token{grant: id{1, 2, 3}, verifier: [verifierSize]byte{31: 0xff}}
	f.Add(good.String())
	for _, s := range []string{
		"", good.String() + "=", good.String()[:63], good.String()[:63] + "+", strings.ToLower(good.String()), good.String()[:32] + "\n" + good.String()[33:],
		" " + good.String()[1:], strings.Repeat("_", 64), strings.Repeat("-", 64), good.String() + "\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseToken(s)
		if err != nil {
			if got != (token{}) {
				t.Errorf("%q is half read", s)
			}
			return
		}
		if got.String() != s || len(s) != tokenLength || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%q is read as %q", s, got)
		}
		if got.matches(good.hash()) != (got.verifier == good.verifier) {
			t.Errorf("%q matches what it is not", s)
		}
	})
}

// typedCode is what a code looks like that somebody has typed.
var typedCode = regexp.MustCompile(`^[ -]*([0-9][ -]*){8}$`)

// FuzzCode holds that spaces and hyphens are all that may stand around eight
// digits: digits of other scripts, signs and exponents are no code.
func FuzzCode(f *testing.F) {
	for _, s := range []string{"12345678", " 1234-5678 ", "１２３４５６７８", "+12345678", "1e7", "0x1e2401", "1234567", "123456789", "1234\t5678", "1234\u00a05678", "٠١٢٣٤٥٦٧", strings.Repeat("-", 60) + "12345678"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseCode(s)
		if want := len(s) <= 64 && typedCode.MatchString(s); ok != want {
			t.Fatalf("%q is a code: %v, want %v", s, ok, want)
		}
		if ok && got != strings.NewReplacer(" ", "", "-", "").Replace(s) || !ok && got != "" {
			t.Errorf("%q is read as %q", s, got)
		}
	})
}

// FuzzLogin holds that a login is kept as it was typed but for space at its
// ends, that folding touches ASCII letters alone (CVE-2019-19844), and that the
// masked form shows no name.
func FuzzLogin(f *testing.F) {
	for _, s := range []string{"alice", " Alice@Example.com\t", "mi\u212Ae", "\u017f", "İ", "a\x00b", "a\u2028b", "a\xff", strings.Repeat("é", 254), "@", "a@.b", "•@x.y", "\u00a0a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := cleanLogin(s)
		if err != nil {
			if got != "" {
				t.Errorf("%q is half read", s)
			}
			return
		}
		if again, err := cleanLogin(got); err != nil || again != got || got != strings.Trim(s, " \t") {
			t.Errorf("%q is read as %q and then as %q, %v", s, got, again, err)
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 254 || strings.ContainsFunc(got, unicode.IsControl) || strings.ContainsAny(got, "\u2028\u2029") {
			t.Errorf("%q is a login", got)
		}
		folded := Fold(got)
		if len(folded) != len(got) || Fold(folded) != folded {
			t.Errorf("%q is folded to %q", got, folded)
		}
		for i := range got {
			if got[i] != folded[i] && !('A' <= got[i] && got[i] <= 'Z' && folded[i] == got[i]+'a'-'A') {
				t.Errorf("%q is folded to %q", got, folded)
			}
		}
		local, _, _ := strings.Cut(got, "@")
		if shown := mask(got); !utf8.ValidString(shown) || utf8.RuneCountInString(local) > 1 && strings.HasPrefix(shown, local) && !strings.Contains(local, "•") {
			t.Errorf("%q is shown as %q", got, shown)
		}
	})
}

// FuzzClient holds that one customer has one budget: an IPv4 address, in the
// clothes of IPv6 too, or a /64 with all that is in it (RFC 6177), and that no
// two customers share one.
func FuzzClient(f *testing.F) {
	for _, s := range [][2]string{
		{"192.0.2.1", "::ffff:192.0.2.1"},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"},
		{"2001:db8::1", "2001:db8:0:1::1"},
		{"fe80::1%eth0", "fe80::1%eth1"},
		{"::", "0.0.0.0"},
		{"::ffff:0:0", "::"},
		{"192.0.2.1", "192.0.2.2"},
	} {
		a, b := netip.MustParseAddr(s[0]), netip.MustParseAddr(s[1])
		f.Add(a.AsSlice(), b.AsSlice(), a.Zone())
	}
	f.Fuzz(func(t *testing.T, rawA, rawB []byte, zone string) {
		a, okA := netip.AddrFromSlice(rawA)
		b, okB := netip.AddrFromSlice(rawB)
		if !okA || !okB {
			return
		}
		customer := func(ip netip.Addr) string {
			if ip.Is4() || ip.Is4In6() {
				return ip.Unmap().String()
			}
			raw := ip.As16()
			return fmt.Sprintf("%x/64", raw[:8])
		}
		l := newClientLimiter()
		same := l.tag(limitAsk, "site", a.WithZone(zone), false) == l.tag(limitAsk, "site", b, false)
		if want := customer(a) == customer(b); same != want {
			t.Errorf("%s and %s share a budget: %v, want %v", a, b, same, want)
		}
		now := time.UnixMilli(1_800_000_000_000)
		w := Window{N: 3, Per: time.Hour}
		for n := range 4 {
			if wait := l.take(limitAsk, "site", a, false, w, now); (wait > 0) != (n == 3) {
				t.Errorf("request %d of %s waits %s", n, a, wait)
			}
		}
		if wait := l.take(limitAsk, "site", b, false, w, now); (wait > 0) != same {
			t.Errorf("%s waits %s for %s", b, wait, a)
		}
	})
}

// A million codes are uniform, as a whole and in each of their digits: a bias
// would be a guesser's first try.
func TestTrialGuessCodesAreUniform(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "codes: a million, chi-square")
	n := tr.Size(1_000_000, 10_000_000)
	var first [10_000]int // by the first group of four
	var digits [codeDigits][10]int
	for range n {
		code := newCode()
		if len(code) != codeDigits {
			tr.Violation("a code of %d digits", len(code))
			return
		}
		group := 0
		for i, c := range []byte(code) {
			digits[i][c-'0']++
			if i < 4 {
				group = 10*group + int(c-'0')
			}
		}
		first[group]++
	}
	tr.Runs(n)
	worst := 0.0
	judge := func(what string, counts []int) {
		z := deviation(counts, n)
		worst = max(worst, z)
		// Six sigma: once in half a billion runs of a source without a bias.
		if z > 6 {
			tr.Violation("%s: %.1f standard deviations from uniform", what, z)
		}
	}
	judge("first group", first[:])
	for i := range digits {
		judge(fmt.Sprintf("digit %d", i+1), digits[i][:])
	}
	tr.Figures(fmt.Sprintf("at most %.1f standard deviations from uniform", worst))
}

// deviation returns how far the chi-square of counts is above what is expected
// of a uniform source, in standard deviations (Wilson and Hilferty).
func deviation(counts []int, n int) float64 {
	expected := float64(n) / float64(len(counts))
	chi := 0.0
	for _, c := range counts {
		d := float64(c) - expected
		chi += d * d / expected
	}
	k := float64(len(counts) - 1)
	return (math.Cbrt(chi/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
}

// The statistics find what they are there for.
func TestDeviation(t *testing.T) {
	even := make([]int, 1000)
	for i := range even {
		even[i] = 1000
	}
	if z := deviation(even, 1_000_000); z > 0 {
		t.Errorf("even counts: %.1f", z)
	}
	// What "% 10^8" of 32 random bits would give: 94 million codes have 43
	// chances each, the others 42.
	for i := range even {
		if even[i] = 1001; i >= 950 {
			even[i] = 978
		}
	}
	for i := range even {
		even[i] += 60 * (i%2*2 - 1)
	}
	if z := deviation(even, 1_000_000); z < 6 {
		t.Errorf("biased counts: %.1f", z)
	}
}

// Tokens never repeat, and each bit of their verifiers is set in half of them.
func TestTrialGuessTokensAreRandom(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "tokens: a hundred thousand, no duplicates")
	n := tr.Size(100_000, 1_000_000)
	seen := make(map[[verifierSize]byte]bool, n)
	ids := make(map[id]bool, n)
	var set [8 * verifierSize]int
	now := time.Now()
	for range n {
		tok := newToken(newID(now))
		if seen[tok.verifier] || ids[tok.grant] {
			tr.Violation("a token comes twice")
		}
		seen[tok.verifier], ids[tok.grant] = true, true
		for i, b := range tok.verifier {
			for ; b != 0; b &= b - 1 {
				set[8*i+bits.TrailingZeros8(b)]++
			}
		}
	}
	tr.Runs(n)
	sigma := math.Sqrt(float64(n)) / 2
	worst := 0.0
	for i, c := range set {
		z := math.Abs(float64(c)-float64(n)/2) / sigma
		if worst = max(worst, z); z > 7 {
			tr.Violation("bit %d is set in %d of %d", i, c, n)
		}
	}
	if raw, err := base64.RawURLEncoding.DecodeString(newToken(newID(now)).String()); err != nil || len(raw) != 48 {
		tr.Violation("a token has %d bytes, %v", len(raw), err)
	}
	tr.Figures(fmt.Sprintf("bits at most %.1f standard deviations from one half", worst))
}
