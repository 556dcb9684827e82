package reset

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// A minting is a grant about to be written, with the secrets that only its
// mail will hold. Everything random is made before the transaction, which may
// run more than once.
type minting struct {
	site    *Site
	account Account // zero for a decoy
	decoy   bool
	login   string // as typed
	now     time.Time
	asked   int64
	counted bool // an earlier attempt of this job has counted
	desk    bool // the operator asks: no limit holds
	limited bool // the login was asked for too often to be looked up

	linkTTL, codeTTL time.Duration

	link, cancel token
	code         string

	minted bool // outcome: the record lists the grant
	coded  bool // outcome: the code can be used
}

// loginRows is how many login rows a minting writes: the login as typed, the
// account's login and its address.
const loginRows = 3

// maxLiveCodes bounds the row of one login.
const maxLiveCodes = 24

// A loginRow lists the grants whose code may be entered with a login, and the
// records that they were in.
type loginRow struct {
	Live []liveCode `json:"live"`
}

func (l loginRow) has(record []byte) bool {
	return slices.ContainsFunc(l.Live, func(c liveCode) bool { return bytes.Equal(c.Account, record) })
}

// A liveCode outlives its code, one for each account: that is how a trace finds
// the records of a login without asking the directory.
type liveCode struct {
	Grant   id     `json:"grant"`
	Account []byte `json:"account"`
	Expires int64  `json:"expires"`
	Until   int64  `json:"until"` // when the record may be gone
}

// newMinting prepares a grant for the account that a job found; nil means that
// there is none, and the same rows are written for a decoy.
func (s *Site) newMinting(account *Account, j job, now time.Time) *minting {
	m := &minting{site: s, login: j.Login, asked: j.Created, counted: j.Counted, desk: j.Desk, now: now, code: newCode()}
	m.linkTTL = cmp.Or(time.Duration(j.LinkTTL)*time.Millisecond, s.config.LinkTTL)
	m.codeTTL = min(s.config.CodeTTL, m.linkTTL)
	m.link = newToken(newID(now))
	m.cancel = newToken(m.link.grant)
	if account != nil {
		m.account = *account
	} else {
		m.decoy = true
	}
	return m
}

func (m *minting) recordKey() []byte {
	switch {
	case m.limited:
		return m.site.limitedKey(m.login)
	case m.decoy:
		return m.site.decoyKey(m.login)
	default:
		return m.site.accountKey(m.account.ID)
	}
}

// write mints within a transaction: it counts the mail, lists the grant and
// makes it findable. Where there is no account, or the limits of one are used
// up, it writes as many rows of the same size and lists nothing that opens.
func (m *minting) write(tx kv.Tx, reference string) error {
	s, key := m.site, m.recordKey()
	r, err := s.svc.loadRecord(tx, key, m.now)
	if err != nil {
		return err
	}
	m.minted, m.coded = !m.limited && (m.counted || s.mayMint(r, m.now, m.desk)), false
	r.begin(reference, m.asked, m.desk, m.now)
	expires := m.now.Add(m.linkTTL)
	if m.minted {
		if !m.counted {
			r.Mints = remember(s.config.PerAccount, r.Mints, m.now.UnixMilli())
		}
		g := grant{
			ID: m.link.grant, Epoch: r.Epoch, Reference: reference,
			Link: m.link.hash(), Cancel: m.cancel.hash(),
			Minted: m.now.UnixMilli(), Expires: expires.UnixMilli(),
		}
		if !r.codesOff() {
			m.coded = true
			g.Code = s.codeHash(g.ID, m.code)
			g.CodeExpires = m.now.Add(m.codeTTL).UnixMilli()
		}
		r.Grants = append(r.Grants, g)
	}
	if m.decoy {
		r.Decoy = true
	} else {
		r.Account = m.account
	}
	if err := r.put(tx, key, m.now); err != nil {
		return err
	}
	if err := putGrantRow(tx, m.link.grant, key, expires); err != nil {
		return err
	}
	logins, err := m.writeLogins(tx, key)
	if err != nil {
		return err
	}
	return putExpiry(tx, m.now.Add(m.codeTTL), grantKey(m.link.grant), append([][]byte{key}, logins...)...)
}

// mailless is how a request without a mail ends, and why.
func (m *minting) mailless() (s Step, reason string) {
	switch {
	case m.limited:
		return StepLimited, "this login was asked for too often"
	case m.decoy:
		return StepUnknown, "no account that can get mail"
	default:
		return StepLimited, "the account has had its mails for now"
	}
}

// putGrantRow writes the pointer to a grant, which the expiry index lists since
// its mint.
func putGrantRow(tx kv.Tx, grant id, record []byte, until time.Time) error {
	return putRow(tx, grantKey(grant), grantRow{Account: record, Until: until.UnixMilli()}, rowStep)
}

// writeLogins makes the code findable under every name that its owner may
// enter it with, so that no directory is asked when it comes in. It returns the
// keys of the rows.
func (m *minting) writeLogins(tx kv.Tx, record []byte) (keys [][]byte, err error) {
	until := m.now.Add(m.codeTTL)
	kept := m.now.Add(storyLife)
	if m.decoy {
		kept = m.now.Add(unknownLife)
	}
	for _, name := range m.names() {
		key := m.site.loginKey(name)
		var row loginRow
		if err := getRow(tx, key, &row); err != nil {
			return nil, err
		}
		row.Live = slices.DeleteFunc(row.Live, func(l liveCode) bool {
			return l.Expires <= m.now.UnixMilli() && (l.Until <= m.now.UnixMilli() || bytes.Equal(l.Account, record))
		})
		c := liveCode{Account: record, Until: kept.UnixMilli()}
		if isFiller(name) {
			c.Until = until.UnixMilli()
		}
		if m.minted {
			c.Grant, c.Expires = m.link.grant, until.UnixMilli()
		}
		if m.minted || !row.has(record) {
			row.Live = append(row.Live, c)
		}
		if extra := len(row.Live) - maxLiveCodes; extra > 0 {
			row.Live = row.Live[extra:]
		}
		if err := putRow(tx, key, row, rowStep); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// names returns the names that the code may be entered with, always as many. What
// stands in for the names that an account would have is the same at each mint and
// cannot be typed: its rows grow as those of an account do. Where nothing was
// looked up they are others, which grow for nobody.
func (m *minting) names() []string {
	names := []string{Fold(m.login)}
	for _, n := range []string{m.account.Login, m.account.Email} {
		if n = Fold(n); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for len(names) < loginRows {
		names = append(names, fmt.Sprintf("\x00%t %d %s", m.limited, len(names), Fold(m.login)))
	}
	return names
}

// isFiller reports whether a name only stands in for one.
func isFiller(name string) bool { return name[0] == 0 }

// unmint takes a grant back that surely reached nobody.
func (m *minting) unmint(tx kv.Tx) error {
	key := m.recordKey()
	r, err := m.site.svc.loadRecord(tx, key, m.now)
	if err != nil {
		return err
	}
	r.drop(m.link.grant)
	if err := r.put(tx, key, m.now); err != nil {
		return err
	}
	return tx.Delete(grantKey(m.link.grant))
}
