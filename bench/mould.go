package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	// rowsOfGrant is how many rows one mint writes that expire: the grant's row,
	// the account record and three logins.
	rowsOfGrant = 5

	// keySize is the length of their keys.
	keySize = 17
)

// What differs between the rows of one grant and another, all of a fixed size.
const (
	partName   = iota // of the account
	partGrant         // its id
	partLink          // hash of the link's verifier
	partRecord        // key of the account record
	partTime          // in milliseconds
)

// A mould makes the rows of any number of grants. It is taken from the rows that
// a server has written when it minted one, so these are what production writes:
// the same tables, JSON, padding and kinds of key. Only names, ids, hashes and
// times are put in anew. No code in it can be entered; every link works.
type mould struct {
	store  *sealed.Store
	minted int64
	swept  int64  // when the sweeper looks at the rows: their code has ended
	lines  []line // as the expiry index lists them: the grant's row, the record, the logins
}

// A line is one row of the mould.
type line struct {
	key   []byte
	text  []byte
	holes []hole
	until int64 // how long it stays when its code has ended, or 0
}

// A hole is a place in a row's text where another grant has other bytes.
type hole struct {
	at, part int
	time     int64
}

// timeDigits is the length of a time in milliseconds, until the year 2286.
const timeDigits = 13

var errMould = errors.New("taking a mould: these are not the rows of one mail as they are known here")

// takeMould reads a store in which one mail was sent, to holder 0, with a token.
func takeMould(ctx context.Context, store *sealed.Store, token string) (*mould, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 48 {
		return nil, errors.New("taking a mould: no token")
	}
	var rows []kv.Pair
	err = store.View(ctx, func(r kv.Reader) (err error) {
		rows, err = r.Scan(nil, nil, 100)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("taking a mould: %w", err)
	}
	m := &mould{store: store, minted: int64(binary.BigEndian.Uint64(raw) >> 16)}
	link := sha256.Sum256(raw[16:])
	old := [...][]byte{
		partName:   []byte(holder(0)),
		partGrant:  []byte(base64.RawURLEncoding.EncodeToString(raw[:16])),
		partLink:   []byte(base64.StdEncoding.EncodeToString(link[:])),
		partRecord: []byte(base64.StdEncoding.EncodeToString(m.record(0))),
	}
	// The expiry index comes last, and has one row for all the others.
	last := len(rows) - 1
	if last != rowsOfGrant || rows[last].Key[0] != 'x' {
		return nil, errMould
	}
	m.swept = timeOf(rows[last].Key)
	found := [len(old)]int{}
	for key := range slices.Chunk(slices.Concat(rows[last].Key[7:], rows[last].Value), keySize) {
		i := slices.IndexFunc(rows[:last], func(row kv.Pair) bool { return bytes.Equal(row.Key, key) })
		if i < 0 {
			return nil, errMould
		}
		l := line{key: key, text: rows[i].Value}
		for part, text := range old {
			for at := range places(l.text, text) {
				l.holes = append(l.holes, hole{at: at, part: part})
				found[part]++
			}
		}
		for at, ms := range times(l.text) {
			l.holes = append(l.holes, hole{at: at, part: partTime, time: ms})
			switch key[0] {
			case 'g':
				l.until = ms
			case 'a': // which remembers the mail that it was minted for
				l.until = max(l.until, ms, m.minted+reset.MaxWindow.Milliseconds())
			case 'l': // the names of an account are known for longer than its code
				if ms > m.swept {
					l.until = ms
				}
			}
		}
		m.lines = append(m.lines, l)
	}
	if slices.Contains(found[:], 0) || len(m.lines) != rowsOfGrant ||
		!bytes.Equal(m.lines[0].key[1:], raw[:16]) || !bytes.Equal(m.lines[1].key, m.record(0)) {
		return nil, errMould
	}
	return m, nil
}

// record is the key of the account record of the n-th grant's holder. A token
// opens nothing if its record is elsewhere.
func (m *mould) record(n int) []byte {
	h := m.store.Index("account", siteID, holder(n))
	return append([]byte{'a'}, h[:16]...)
}

// An entry is a row that is to be written.
type entry struct {
	key  [7 + keySize]byte
	size uint8 // of the key
	line uint8
	more uint8 // in the expiry index: the other lines that are listed with this one, as bits
	n    uint32
}

// entries lists the rows of one table for all grants of the cohorts, in order.
func (m *mould) entries(table byte, now int64, cohorts []cohort) (all []entry) {
	for _, c := range cohorts {
		for n := c.first; n < c.first+c.count; n++ {
			age := c.minted(n) - m.minted
			fresh := c.expired || minute(m.swept+age) > now
			for i, l := range m.lines {
				e := entry{line: uint8(i), n: uint32(n)}
				key := e.key[:0]
				switch {
				case !fresh && l.until == 0:
					continue
				case table == l.key[0]:
				case table == 'x' && fresh && i == 0:
					e.more = 1<<len(m.lines) - 2
					key = appendTime(key, minute(m.swept+age))
				case table == 'x' && !fresh:
					var first bool
					if first, e.more = m.together(i, age); !first {
						continue
					}
					e.line = 0
					key = appendTime(key, minute(l.until+age)+time.Minute.Milliseconds())
				default:
					continue
				}
				e.size = uint8(len(m.appendKey(key, int(e.line), c, n)))
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return bytes.Compare(a.key[:a.size], b.key[:b.size]) })
	return all
}

// together tells which lines but that of the grant go in the same minute as the
// i-th, and whether it is the first of them: these are listed together, under the
// grant, when their code has ended.
func (m *mould) together(i int, age int64) (first bool, more uint8) {
	for n, l := range m.lines {
		switch {
		case l.until == 0 || minute(l.until+age) != minute(m.lines[i].until+age):
		case n < i:
			return false, 0
		case n > 0:
			more |= 1 << n
		}
	}
	return true, more
}

// minute is the whole minute that a time is in: the expiry index knows no others.
func minute(ms int64) int64 { return ms - ms%time.Minute.Milliseconds() }

// appendTime appends what a key of the expiry index begins with, and timeOf reads
// the time out of one.
func appendTime(b []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(b, 'x'<<56|uint64(ms)<<8)[:len(b)+7]
}

func timeOf(key []byte) (ms int64) { return int64(binary.BigEndian.Uint64(key) >> 8 & (1<<48 - 1)) }

// appendKey appends a key of the n-th grant. The names that codes are entered
// with are stored as HMACs: any bytes are as good.
func (m *mould) appendKey(b []byte, line int, c cohort, n int) []byte {
	switch table := m.lines[line].key[0]; table {
	case 'a':
		return append(b, m.record(n)...)
	case 'g':
		raw := c.raw(n)
		return append(append(b, 'g'), raw[:16]...)
	default:
		h := sha256.Sum256(fmt.Append(nil, "key ", line, n))
		return append(append(b, table), h[:16]...)
	}
}

// value is what is stored under an entry's key.
func (m *mould) value(e entry, c cohort) (value []byte) {
	if e.key[0] != 'x' {
		return m.text(m.lines[e.line], c, int(e.n))
	}
	for i := range m.lines {
		if e.more>>i&1 != 0 {
			value = m.appendKey(value, i, c, int(e.n))
		}
	}
	return value
}

// text is what a row of the n-th grant holds.
func (m *mould) text(l line, c cohort, n int) []byte {
	text := slices.Clone(l.text)
	raw := c.raw(n)
	link := sha256.Sum256(raw[16:])
	for _, h := range l.holes {
		at := text[h.at:]
		switch h.part {
		case partName:
			copy(at, holder(n))
		case partGrant:
			base64.RawURLEncoding.Encode(at, raw[:16])
		case partLink:
			base64.StdEncoding.Encode(at, link[:])
		case partRecord:
			base64.StdEncoding.Encode(at, m.record(n))
		case partTime:
			strconv.AppendInt(at[:0], h.time+c.minted(n)-m.minted, 10)
		}
	}
	return text
}

// fill writes the rows of the cohorts, table by table in the order of their keys:
// in the order of their times, each transaction would write a good part of the
// tree anew and leave as many pages free, as no server does.
func (m *mould) fill(ctx context.Context, inner *bulk, cohorts []cohort) error {
	const rows = 20_000 // a transaction
	of := func(n int) cohort {
		return cohorts[slices.IndexFunc(cohorts, func(c cohort) bool { return n >= c.first && n < c.first+c.count })]
	}
	now := time.Now().UnixMilli()
	for _, table := range []byte("aglx") {
		// What bbolt leaves where rows are appended, and where they come at random.
		inner.full = bbolt.DefaultFillPercent
		if table == 'a' || table == 'l' {
			inner.full = 0.69
		}
		for part := range slices.Chunk(m.entries(table, now, cohorts), rows) {
			err := m.store.Update(ctx, func(tx kv.Tx) error {
				for _, e := range part {
					if err := tx.Put(e.key[:e.size], m.value(e, of(int(e.n)))); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// places yields where b holds text.
func places(b, text []byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for from := 0; ; {
			at := bytes.Index(b[from:], text)
			if at < 0 || !yield(from+at) {
				return
			}
			from += at + len(text)
		}
	}
}

// times yields the times in JSON: numbers of as many digits.
func times(b []byte) iter.Seq2[int, int64] {
	return func(yield func(int, int64) bool) {
		for at := 0; at < len(b); at++ {
			end := at
			for end < len(b) && b[end] >= '0' && b[end] <= '9' {
				end++
			}
			if end-at == timeDigits && (b[at-1] == ':' || b[at-1] == '[' || b[at-1] == ',') {
				if ms, err := strconv.ParseInt(string(b[at:end]), 10, 64); err == nil && !yield(at, ms) {
					return
				}
			}
			at = max(at, end-1)
		}
	}
}
