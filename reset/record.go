package reset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Sizes that rows are padded to, so that a row tells nothing by its length.
// Sealed and with their keys, a record of two steps, five jobs or twelve of the
// others fill a page of 4 KiB of the embedded store: with one byte more there were
// none or four.
//
// What of a record an account has more of than a decoy takes as much room in both,
// whatever is in it: who the account is, its mails and stories of more than two
// hours ago, and what its owner did. So a record outgrows its two steps with its
// fourth live grant or a change, for a decoy as for an account.
const (
	recordStep  = 1960
	accountRoom = 1200
	mintsRoom   = 160
	storiesRoom = 1500
	jobStep     = 728
	rowStep     = 256
)

// Codes end after a number of wrong guesses: per mail, per day, and in a row
// (NIST SP 800-63B-4 section 3.2.2 allows 100). Links are not touched by any
// of them, so guessing locks nobody out.
const (
	triesPerMint     = 5
	triesPerDay      = 20
	triesConsecutive = 100
)

// keepOverdue is how long a change that nobody has ended is kept after its
// deadline: a program may be off for that long, or its disk full.
const keepOverdue = 30 * 24 * time.Hour

// A record is all that must hold together for one account. It is read and
// written whole in one transaction.
type record struct {
	Account  Account `json:"account"`
	Era      uint64  `json:"era"`
	Epoch    uint64  `json:"epoch"`    // raised to end every grant at once
	Sequence int64   `json:"sequence"` // of the newest change
	Grants   []grant `json:"grants,omitempty"`
	Change   *change `json:"change,omitempty"` // the one slot
	Lease    lease   `json:"lease,omitzero"`   // of the slot, not of the change in it
	Mints    []int64 `json:"mints,omitempty"`  // when mails were caused, in milliseconds

	Consecutive int   `json:"consecutive,omitempty"` // wrong codes since the last completed change
	Today       int   `json:"today,omitempty"`       // wrong codes in the day that began at Day
	Day         int64 `json:"day,omitempty"`

	Stories []story `json:"stories,omitempty"` // what became of the latest requests

	Revoked id `json:"revoked,omitzero"` // the latest revocation

	Decoy bool  `json:"decoy"`
	Seen  int64 `json:"seen"` // last written, in milliseconds
}

// A change is a new password in the slot. It is gone with its password at
// every final outcome.
type change struct {
	ID        id     `json:"id"`
	Grant     id     `json:"grant"`
	Sequence  int64  `json:"sequence"`
	Attempt   int    `json:"attempt"` // number of the newest attempt
	Era       uint64 `json:"era"`
	Reference string `json:"reference"`
	Format    string `json:"format"`
	Password  string `json:"password"`
	At        int64  `json:"at"`
	Deadline  int64  `json:"deadline"`

	// Replaced says that this change took the place of an older one, whose
	// owner was promised that it would take effect: they have to hear if
	// neither does.
	Replaced bool `json:"replaced,omitempty"`
}

// A lease gives one holder the slot for one attempt.
type lease struct {
	Holder  string `json:"holder,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	Change  id     `json:"change,omitzero"`
}

// loadRecord reads the record under key, or makes a new one. What has expired
// or belongs to an earlier era is dropped as it is met.
func (s *Service) loadRecord(tx getter, key []byte, now time.Time) (*record, error) {
	r := &record{Era: s.era}
	if err := getRow(tx, key, r); err != nil {
		return nil, err
	}
	if r.Era < s.era {
		// An older copy of the store was put back: these grants may have been
		// used since. The change is left to its job, which reports it.
		r.Epoch++
		r.Grants, r.Era = nil, s.era
	}
	// What a clock that was ahead has written must not outlive its correction.
	ahead := now.Add(clockSkew).UnixMilli()
	r.Mints = slices.DeleteFunc(r.Mints, func(at int64) bool { return at > ahead })
	if r.Day > ahead {
		r.Day, r.Today = 0, 0
	}
	if r.Change != nil {
		r.Change.Deadline = min(r.Change.Deadline, now.Add(clockSkew+changeDeadline).UnixMilli())
	}
	live := r.Grants[:0]
	for _, g := range r.Grants {
		if g.Minted > ahead && !r.claims(g) {
			continue
		}
		// A grant whose change was replaced by a newer one is used up.
		if g.Epoch == r.Epoch && (r.claims(g) || g.Change.isZero() && !g.expired(now.Add(s.skew))) {
			live = append(live, g)
		}
	}
	r.Grants = live
	if now.UnixMilli()-r.Day >= (24 * time.Hour).Milliseconds() {
		r.Day, r.Today = 0, 0
	}
	return r, nil
}

// put stores a record that the expiry index lists since its first mint. Where
// that was, the sweeper finds it and lists it anew, as often as it has to stay.
func (r *record) put(tx kv.Tx, key []byte, now time.Time) error {
	r.Seen = now.UnixMilli()
	room, err := r.room()
	if err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a row: %w", err)
	}
	return tx.Put(key, padded(append(b, bytes.Repeat([]byte{' '}, room)...), recordStep))
}

// room returns how much less than its share the record of an account takes.
func (r *record) room() (free int, err error) {
	for _, part := range []struct {
		of    any
		share int
	}{{r.Account, accountRoom}, {r.Mints, mintsRoom}, {r.Stories, storiesRoom}} {
		b, err := json.Marshal(part.of)
		if err != nil {
			return 0, fmt.Errorf("encoding a row: %w", err)
		}
		free += max(0, part.share-len(b))
	}
	return free, nil
}

// putListed is put for a record that may be new.
func (r *record) putListed(tx kv.Tx, key []byte, now time.Time) error {
	if err := r.put(tx, key, now); err != nil {
		return err
	}
	return putExpiry(tx, r.until(now), key)
}

// until returns when the record may be forgotten.
func (r *record) until(now time.Time) time.Time {
	until := time.UnixMilli(r.Seen).Add(DefaultCodeTTL)
	later := func(t time.Time) {
		if t.After(until) {
			until = t
		}
	}
	for _, g := range r.Grants {
		later(time.UnixMilli(max(g.Expires, g.CodeExpires)))
	}
	life := storyLife
	if r.Decoy {
		life = unknownLife
	}
	if n := len(r.Stories); n > 0 {
		later(time.UnixMilli(r.Stories[n-1].Asked).Add(life))
	}
	if r.Decoy {
		// A flood of unknown logins must not fill the disk: nothing depends on
		// a decoy, so its counters go with its grants.
		return until
	}
	if n := len(r.Mints); n > 0 {
		later(time.UnixMilli(r.Mints[n-1]).Add(MaxWindow))
	}
	if r.Change != nil {
		// Its job ends it and tells its owner, also when the program was off,
		// or the disk full, beyond the deadline. Only what lost its job goes.
		overdue := min(now.UnixMilli(), r.Change.Deadline+keepOverdue.Milliseconds())
		later(time.UnixMilli(max(r.Change.Deadline, overdue)).Add(time.Hour))
	}
	if r.Day != 0 {
		later(time.UnixMilli(r.Day).Add(24 * time.Hour))
	}
	if r.Consecutive > 0 {
		// Waiting must not lower the count: it is looked at again, never dropped.
		later(now.Add(30 * 24 * time.Hour))
	}
	return until
}

// grant returns the listed grant with that id, or nil.
func (r *record) grant(i id) *grant {
	for n := range r.Grants {
		if r.Grants[n].ID == i {
			return &r.Grants[n]
		}
	}
	return nil
}

// drop ends one grant.
func (r *record) drop(i id) {
	for n := range r.Grants {
		if r.Grants[n].ID == i {
			r.Grants = append(r.Grants[:n], r.Grants[n+1:]...)
			return
		}
	}
}

// completed is what a change that the app has applied means for the account:
// every grant ends, and the counts of wrong codes begin anew. Only the grant
// of another change that waits in the slot stays, since that one is accepted;
// if the app refuses it, the grant is not given back.
func (r *record) completed() {
	r.Epoch++
	var waiting []grant
	if r.Change != nil {
		if g := r.grant(r.Change.Grant); g != nil {
			g.Epoch, g.Refusals = r.Epoch, maxRefusals
			waiting = []grant{*g}
		}
	}
	r.Grants, r.Consecutive = waiting, 0
}

// codesOff reports whether guessing has used up what the account may stand.
func (r *record) codesOff() bool {
	return r.Consecutive >= triesConsecutive || r.Today >= triesPerDay
}

// guessed counts one wrong code, for the account and for each of its codes: a
// new mail must not bring one back that has ended.
func (r *record) guessed(now time.Time) {
	for n := range r.Grants {
		if g := &r.Grants[n]; g.hasCode(now) {
			g.Tries++
		}
	}
	r.Consecutive++
	if r.Day == 0 {
		r.Day = now.UnixMilli()
	}
	r.Today++
}

// nextSequence returns a number above every earlier one of the account, also
// if the store was lost in between. Milliseconds are safe in JSON until the
// year 287396.
func (r *record) nextSequence(now time.Time) int64 {
	r.Sequence = max(r.Sequence+1, now.UnixMilli())
	return r.Sequence
}

// getter is the part of a Reader and of a Tx that reads one row.
type getter interface {
	Get(key []byte) ([]byte, error)
}

// getRow reads a row into v and leaves v alone if there is none.
func getRow(tx getter, key []byte, v any) error {
	b, err := tx.Get(key)
	if err != nil || b == nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading a row of table %q: %w", key[0], errDamaged)
	}
	return nil
}

// putRow writes v padded with spaces, which JSON ignores, to a multiple of
// step bytes.
func putRow(tx kv.Tx, key []byte, v any, step int) error {
	b, err := encodeRow(v, step)
	if err != nil {
		return err
	}
	return tx.Put(key, b)
}

func encodeRow(v any, step int) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a row: %w", err)
	}
	return padded(b, step), nil
}

// padded fills a row up with spaces, which JSON ignores.
func padded(b []byte, step int) []byte {
	if over := len(b) % step; over > 0 {
		b = append(b, bytes.Repeat([]byte{' '}, step-over)...)
	}
	return b
}
