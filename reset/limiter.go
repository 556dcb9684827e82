package reset

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// A limitKind has a budget of its own, so that reading one's mail does not use
// up what is left for asking.
type limitKind uint8

const (
	limitAsk limitKind = iota
	limitOpen
	limitCode
	limitChange
	limitFind
)

// limit is what an observer calls it.
func (k limitKind) limit() Limit {
	return [...]Limit{limitAsk: LimitAsk, limitOpen: LimitOpen, limitCode: LimitCode, limitChange: LimitChange, limitFind: LimitFind}[k]
}

// share is how many of a kind are allowed for each request allowed: a person
// opens a link several times and mistypes, a guesser needs millions.
var share = [...]int{limitAsk: 1, limitOpen: maxShare, limitCode: 3, limitChange: 5, limitFind: 1}

const maxShare = 20

// trustedShare is how many times as often a client may ask that has shown a
// dialect's credential: behind an app's own server all people have one address.
// It has a bound all the same, as such a credential stands in every copy of an
// app: without one, a single client could fill queue and disk.
const trustedShare = 50

// A clientLimiter counts requests by client address in a table of fixed size.
// A flood from many addresses overwrites the entries that are closest to
// being forgotten anyway: the table never grows, and at worst somebody's
// count is lost, never a person locked out for another.
type clientLimiter struct {
	mu      sync.Mutex
	seed    maphash.Seed
	buckets [][clientWays]clientEntry
}

const (
	clientBuckets = 1 << 13 // with 4 ways and 16 bytes an entry: 512 KiB
	clientWays    = 4
)

// A clientEntry is one address and kind. Full is when its budget is whole
// again (the "theoretical arrival time" of the generic cell rate algorithm).
type clientEntry struct {
	tag  uint64
	full int64 // unix milliseconds
}

func newClientLimiter() *clientLimiter {
	return &clientLimiter{seed: maphash.MakeSeed(), buckets: make([][clientWays]clientEntry, clientBuckets)}
}

// take counts one request and returns 0, or how long to wait without counting
// it.
func (l *clientLimiter) take(k limitKind, site string, ip netip.Addr, trusted bool, w Window, now time.Time) time.Duration {
	n := w.N * share[k]
	if trusted {
		n *= trustedShare
	}
	step := max(w.Per.Milliseconds()/int64(n), 1) // of 0, nobody would ever have to wait
	ms := now.UnixMilli()
	tag := l.tag(k, site, ip, trusted)

	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := &l.buckets[tag>>1%clientBuckets] // the lowest bit is the same in all
	e := &bucket[0]
	for i := range bucket {
		if bucket[i].tag == tag {
			e = &bucket[i]
			break
		}
		if bucket[i].full < e.full {
			e = &bucket[i]
		}
	}
	if e.tag != tag {
		*e = clientEntry{tag: tag}
	}
	if e.full > ms+step*int64(n) {
		e.full = ms // written by a clock that was ahead
	}
	full := max(e.full, ms) + step
	if wait := full - ms - step*int64(n); wait > 0 {
		return time.Duration(wait) * time.Millisecond
	}
	e.full = full
	return 0
}

// tag names a client: an IPv4 address, or the /64 that one IPv6 customer has
// at the least.
func (l *clientLimiter) tag(k limitKind, site string, ip netip.Addr, trusted bool) uint64 {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		ip = p.Addr()
	}
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteByte(byte(k))
	if trusted {
		h.WriteByte(1)
	}
	b := ip.As16()
	h.Write(b[:])
	h.WriteString(site)
	return h.Sum64() | 1 // 0 is an empty entry
}
