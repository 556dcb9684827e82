package reset

import (
	"hash/maphash"
	"sync"
	"time"
)

// A loginSketch remembers for which logins mails were caused, in a table of
// fixed size that forgets under pressure. It only saves lookups in the
// directory: what must hold is counted durably in the account record.
type loginSketch struct {
	mu      sync.Mutex
	seed    maphash.Seed
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
	return &loginSketch{seed: maphash.MakeSeed(), buckets: make([][sketchWays]sketchEntry, sketchBuckets)}
}

// permits reports whether the login of a site may be looked up. Like the
// account, a login gets one lookup per spare beyond its windows, so that
// asking often locks nobody out.
func (l *loginSketch) permits(site, login string, windows []Window, spare time.Duration, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	tag := l.tag(site, login)
	e := l.entry(tag)
	if e.tag != tag {
		return true
	}
	ms := now.UnixMilli() // before e.last(): a clock that was ahead has been set right
	return permitted(judged(windows), e.times[:e.n], ms) || ms < e.last() || ms-e.last() >= spare.Milliseconds()
}

// note counts a mail for the login, or as much as one for a login without an
// account. A request that caused none is not counted: it would put off the
// next one that could.
func (l *loginSketch) note(site, login string, windows []Window, now time.Time) {
	windows = judged(windows)
	if len(windows) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tag := l.tag(site, login)
	e := l.entry(tag)
	if e.tag != tag {
		*e = sketchEntry{tag: tag}
	}
	times := remember(windows, append([]int64(nil), e.times[:e.n]...), now.UnixMilli())
	e.n = copy(e.times[:], times)
}

func (l *loginSketch) tag(site, login string) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteString(site)
	h.WriteByte(0)
	h.WriteString(Fold(login))
	return h.Sum64() | 1 // 0 is an empty entry
}

// entry returns the entry of the tag, or the one to put in its place: the
// entry that has not been used for longest.
func (l *loginSketch) entry(tag uint64) *sketchEntry {
	bucket := &l.buckets[tag>>1%sketchBuckets] // the lowest bit is the same in all
	oldest := &bucket[0]
	for i := range bucket {
		if bucket[i].tag == tag {
			return &bucket[i]
		}
		if bucket[i].last() < oldest.last() {
			oldest = &bucket[i]
		}
	}
	return oldest
}

func (e *sketchEntry) last() int64 {
	if e.n == 0 {
		return 0
	}
	return e.times[e.n-1]
}

// judged returns the windows that the sketch has room for.
func judged(windows []Window) (fit []Window) {
	for _, w := range windows {
		if w.N <= sketchTimes {
			fit = append(fit, w)
		}
	}
	return fit
}
