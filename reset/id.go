package reset

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"
)

// An id names a grant, a change or a job: 48 bits of milliseconds, so that
// new rows are appended, then 80 random bits. There is no counter in it: a
// gap would tell that an account exists.
type id [16]byte

func newID(now time.Time) id {
	var i id
	putMillis(i[:6], now.UnixMilli())
	rand.Read(i[6:])
	return i
}

// String returns 22 characters that are safe in a URL and a header.
func (i id) String() string { return base64.RawURLEncoding.EncodeToString(i[:]) }

// made returns when the id was made.
func (i id) made() time.Time { return time.UnixMilli(getMillis(i[:6])) }

func (i id) isZero() bool { return i == id{} }

// MarshalText implements encoding.TextMarshaler. The zero id is empty.
func (i id) MarshalText() ([]byte, error) {
	if i.isZero() {
		return nil, nil
	}
	return []byte(i.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *id) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*i = id{}
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(b))
	if err != nil || len(raw) != len(i) {
		return fmt.Errorf("id of %d characters", len(b))
	}
	copy(i[:], raw)
	return nil
}

// putMillis writes the low 48 bits of ms, most significant byte first, so
// that keys sort by time.
func putMillis(b []byte, ms int64) {
	for n := 5; n >= 0; n-- {
		b[n] = byte(ms)
		ms >>= 8
	}
}

func getMillis(b []byte) int64 {
	var ms int64
	for _, c := range b[:6] {
		ms = ms<<8 | int64(c)
	}
	return ms
}

// newReference returns what a person and the log know a request by. It is
// made for the request and has nothing to do with any grant. References are
// read out over the telephone: no vowels, so no words, and nothing that is
// easily taken for something else.
func newReference() string {
	const letters = "BCDFGHJKMNPQRSTVWXZ23456789"
	var b [8]byte
	for n := range b {
		b[n] = letters[randomBelow(len(letters))]
	}
	return string(b[:4]) + "-" + string(b[4:])
}
