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
)

// share is how many of a kind are allowed for each request allowed: a person
// opens a link several times and mistypes, a guesser needs millions.
var share = [...]int{limitAsk: 1, limitOpen: maxShare, limitCode: 3, limitChange: 5}

const maxShare = 20

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
func (l *clientLimiter) take(k limitKind, site string, ip netip.Addr, w Window, now time.Time) time.Duration {
	n := w.N * share[k]
	step := w.Per.Milliseconds() / int64(n)
	ms := now.UnixMilli()
	tag := l.tag(k, site, ip)

	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := &l.buckets[tag%clientBuckets]
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
	full := max(e.full, ms) + step
	if wait := full - ms - step*int64(n); wait > 0 {
		return time.Duration(wait) * time.Millisecond
	}
	e.full = full
	return 0
}

// tag names a client: an IPv4 address, or the /64 that one IPv6 customer has
// at the least.
func (l *clientLimiter) tag(k limitKind, site string, ip netip.Addr) uint64 {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		ip = p.Addr()
	}
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteByte(byte(k))
	b := ip.As16()
	h.Write(b[:])
	h.WriteString(site)
	return h.Sum64() | 1 // 0 is an empty entry
}

// A loginSketch remembers how often a login was typed, in a table of fixed
// size that forgets under pressure. It only saves lookups in the directory:
// what must hold is counted durably in the account record.
type loginSketch struct {
	mu      sync.Mutex
	key     maphash.Seed
	buckets [][sketchWays]sketchEntry
}

const (
	sketchBuckets = 1 << 12 // with 4 ways and 112 bytes an entry: 1.8 MiB
	sketchWays    = 4
	sketchTimes   = 12 // windows with a larger count are not judged here
)

type sketchEntry struct {
	tag   uint64
	n     int
	times [sketchTimes]int64
}

func newLoginSketch() *loginSketch {
	return &loginSketch{key: maphash.MakeSeed(), buckets: make([][sketchWays]sketchEntry, sketchBuckets)}
}

// take counts one request for the login of a site and reports whether it may
// be looked up. Like the account, a login gets one per spare beyond its
// windows, so that asking often locks nobody out.
func (l *loginSketch) take(site, login string, windows []Window, spare time.Duration, now time.Time) bool {
	var judged []Window
	for _, w := range windows {
		if w.N <= sketchTimes {
			judged = append(judged, w)
		}
	}
	if len(judged) == 0 {
		return true
	}
	var h maphash.Hash
	h.SetSeed(l.key)
	h.WriteString(site)
	h.WriteByte(0)
	h.WriteString(Fold(login))
	tag, ms := h.Sum64()|1, now.UnixMilli()

	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := &l.buckets[tag%sketchBuckets]
	e := &bucket[0]
	for i := range bucket {
		if bucket[i].tag == tag {
			e = &bucket[i]
			break
		}
		if bucket[i].last() < e.last() {
			e = &bucket[i]
		}
	}
	if e.tag != tag {
		*e = sketchEntry{tag: tag}
	}
	if !permitted(judged, e.times[:e.n], ms) && ms-e.last() < spare.Milliseconds() {
		return false
	}
	times := remember(judged, append([]int64(nil), e.times[:e.n]...), ms)
	e.n = copy(e.times[:], times)
	return true
}

func (e *sketchEntry) last() int64 {
	if e.n == 0 {
		return 0
	}
	return e.times[e.n-1]
}
