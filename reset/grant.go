package reset

import (
	"crypto/subtle"
	"encoding/hex"
	"time"
)

// Bounds of one grant, so that a refused password neither prolongs it for
// ever nor leaves its owner without time to try again.
const (
	maxRefusals     = 10
	lifeAfterRefuse = 10 * time.Minute
	maxSeconds      = 3 // verifiers given out for one code
)

// A grant is the right to set a new password for one account. It is good only
// while its record lists it with the record's epoch.
type grant struct {
	ID          id       `json:"id"`
	Epoch       uint64   `json:"epoch"`
	Link        []byte   `json:"link"`           // SHA-256 of the link's verifier
	Cancel      []byte   `json:"cancel"`         // SHA-256 of the verifier that only ends it
	Code        []byte   `json:"code,omitempty"` // HMAC; empty while codes are off
	Seconds     []second `json:"seconds,omitempty"`
	Reference   string   `json:"reference"`
	Minted      int64    `json:"minted"`
	Expires     int64    `json:"expires"`
	CodeExpires int64    `json:"code_expires"`
	Change      id       `json:"change,omitzero"` // the change that claimed it
	Refusals    int      `json:"refusals,omitempty"`
	Tries       int      `json:"tries,omitempty"` // wrong codes compared with its own
}

// A second is a verifier that was given for a right code; it opens the same
// grant for as long as the code would have lived.
type second struct {
	Hash    []byte `json:"hash"`
	Expires int64  `json:"expires"`
}

// expired reports whether nothing opens the grant any more. The end itself is
// outside.
func (g *grant) expired(now time.Time) bool {
	if now.UnixMilli() < max(g.Expires, g.CodeExpires) {
		return false
	}
	for _, s := range g.Seconds {
		if now.UnixMilli() < s.Expires {
			return false
		}
	}
	return true
}

// opens reports whether the token opens this grant now, and until when.
func (g *grant) opens(t token, now time.Time) (until time.Time, ok bool) {
	ms := now.UnixMilli()
	if t.matches(g.Link) && ms < g.Expires {
		return time.UnixMilli(g.Expires), true
	}
	for _, s := range g.Seconds {
		if t.matches(s.Hash) && ms < s.Expires {
			return time.UnixMilli(s.Expires), true
		}
	}
	return time.Time{}, false
}

// hasCode reports whether a guess may be compared with the grant's code. While a
// change stands on the grant, the code leads to its outcome.
func (g *grant) hasCode(now time.Time) bool {
	return len(g.Code) > 0 && g.Tries < triesPerMint && now.UnixMilli() < g.CodeExpires
}

// addSecond lists one more verifier. Beyond the bound the oldest goes: a
// person has entered the code in so many places that only the last ones can
// matter.
func (g *grant) addSecond(t token) {
	g.Seconds = append(g.Seconds, second{Hash: t.hash(), Expires: g.CodeExpires})
	if extra := len(g.Seconds) - maxSeconds; extra > 0 {
		g.Seconds = g.Seconds[extra:]
	}
}

// release gives the grant back after the app refused the password: whatever
// opened it opens it for at least ten minutes more, within the cap. It
// reports false when the app has refused too often.
func (g *grant) release(now time.Time) bool {
	g.Change = id{}
	g.Refusals++
	if g.Refusals >= maxRefusals {
		return false
	}
	limit := time.UnixMilli(g.Minted).Add(MaxLinkTTL).UnixMilli()
	atLeast := min(now.Add(lifeAfterRefuse).UnixMilli(), limit)
	g.Expires = max(g.Expires, atLeast)
	for n := range g.Seconds {
		g.Seconds[n].Expires = max(g.Seconds[n].Expires, atLeast)
	}
	return true
}

// claims reports whether a change of this account stands on the grant: the
// one in the slot, or an older one that is still in flight.
func (r *record) claims(g grant) bool {
	if g.Change.isZero() {
		return false
	}
	return r.Change != nil && r.Change.ID == g.Change || r.Lease.Change == g.Change
}

// claimant returns the change that stands on the grant, or nil. Of one that was
// replaced while it is in flight only the id is known.
func (r *record) claimant(g grant) *change {
	switch {
	case !r.claims(g):
		return nil
	case r.Change != nil && r.Change.ID == g.Change:
		return r.Change
	default:
		return &change{ID: g.Change}
	}
}

// codeHash is the stored form of a code: an HMAC under a key of the store,
// since eight digits could be tried offline, bound to the grant.
func (s *Site) codeHash(g id, code string) []byte {
	h := s.svc.index.Index("code", s.config.ID, hex.EncodeToString(g[:]), code)
	return h[:16]
}

func equalHash(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// grantRow says which record holds a grant. It is a pointer and decides
// nothing.
type grantRow struct {
	Account []byte `json:"account"`
	Until   int64  `json:"until"`
}
