package reset

import (
	"bytes"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// Tables are told apart by the first byte of a key. What comes from a person
// or a directory is in a key only as an HMAC.
//
//	a  account record          account(16)
//	g  where a grant is kept   grant id(16)
//	l  live codes of a login   login(16)
//	j  queue                   site(8) kind(1) due(6) job id(16)
//	x  expiry                  when(6) key it is about; more keys in the value
const (
	tableAccount = 'a'
	tableGrant   = 'g'
	tableLogin   = 'l'
	tableQueue   = 'j'
	tableExpiry  = 'x'
)

const (
	// rowKeySize is the length of the keys of tables a, g and l.
	rowKeySize = 1 + 16
	// queuePrefixSize is the length of what the keys of one queue begin with.
	queuePrefixSize = 1 + 8 + 1
)

func (s *Site) accountKey(accountID string) []byte {
	return s.key(tableAccount, "account", accountID)
}

// decoyKey is where the record of a login without an account is kept.
func (s *Site) decoyKey(login string) []byte {
	return s.key(tableAccount, "decoy", Fold(login))
}

// limitedKey is where the record of a login is kept that was not looked up, as
// it was asked for too often. It is not that of a decoy: there only a login
// without an account has grown one.
func (s *Site) limitedKey(login string) []byte {
	return s.key(tableAccount, "limited", Fold(login))
}

// guessKey is one of 256 records that are written where a guess finds nothing.
func (s *Site) guessKey(login string) []byte {
	return s.key(tableAccount, "guess", string(s.loginKey(login)[1:2]))
}

func (s *Site) loginKey(login string) []byte {
	return s.key(tableLogin, "login", Fold(login))
}

func (s *Site) key(table byte, label, name string) []byte {
	h := s.svc.index.Index(label, s.config.ID, name)
	return append([]byte{table}, h[:16]...)
}

func grantKey(grant id) []byte {
	return append([]byte{tableGrant}, grant[:]...)
}

// queuePrefix is what the keys of a queue begin with.
func (s *Site) queuePrefix(k jobKind) []byte { return s.prefixes[k] }

// queueKey puts a job where the scan for due jobs finds it in time. A job
// that is leased stands at the end of its lease.
func (s *Site) queueKey(k jobKind, due time.Time, job id) []byte {
	b := slices.Concat(s.queuePrefix(k), make([]byte, 6), job[:])
	putMillis(b[queuePrefixSize:], due.UnixMilli())
	return b
}

// jobOf reads the id of the job out of a queue key.
func jobOf(key []byte) (job id) {
	copy(job[:], key[queuePrefixSize+6:])
	return job
}

// dueOf reads the time out of a queue key.
func dueOf(key []byte) time.Time {
	return time.UnixMilli(getMillis(key[queuePrefixSize:]))
}

// kindOf reads the kind of the job out of a queue key.
func kindOf(key []byte) jobKind { return jobKind(key[queuePrefixSize-1]) }

func expiryKey(when time.Time, key []byte) []byte {
	b := make([]byte, 7, 7+len(key))
	b[0] = tableExpiry
	putMillis(b[1:7], when.UnixMilli())
	return append(b, key...)
}

// putExpiry lists rows in the expiry index, within a transaction, in one row of it
// under the first key. A mint lists all that it has written under its grant, whose
// id begins with the time, so that these are appended. It goes by whole minutes, the
// next one: a row that is written all the time has one place for each minute and not
// one for each write. What is listed there already stays: without a place in the
// index a row would stay for ever.
func putExpiry(tx kv.Tx, when time.Time, key []byte, more ...[]byte) error {
	place := expiryKey(when.Truncate(time.Minute).Add(time.Minute), key)
	value, err := tx.Get(place)
	if err != nil {
		return err
	}
	all := slices.Collect(slices.Chunk(value, rowKeySize))
	for _, k := range more {
		if !slices.ContainsFunc(all, func(o []byte) bool { return bytes.Equal(o, k) }) {
			all = append(all, k)
		}
	}
	return tx.Put(place, slices.Concat(all...))
}

// listed returns the keys that a row of the expiry index is about.
func listed(row kv.Pair) [][]byte {
	return append([][]byte{row.Key[7:]}, slices.Collect(slices.Chunk(row.Value, rowKeySize))...)
}

// after returns the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for n := len(end) - 1; n >= 0; n-- {
		if end[n]++; end[n] != 0 {
			return end[:n+1]
		}
	}
	return nil
}
