package reset

import (
	"fmt"
	"time"
)

// MaxWindow is the longest window: for so long an account's mails are
// remembered.
const MaxWindow = 24 * time.Hour

// A Window allows N events in any span of length Per.
type Window struct {
	N   int
	Per time.Duration
}

// Check returns what is wrong with a window: it must allow something, last at
// most [MaxWindow], and be slow enough to be counted, which is done in
// milliseconds and for some kinds of request with a multiple of N.
func (w Window) Check() error {
	switch {
	case w.N < 1:
		return fmt.Errorf("%d in %s allows nothing", w.N, w.Per)
	case w.Per <= 0 || w.Per > MaxWindow:
		return fmt.Errorf("a span of %s; it is at most %s", w.Per, MaxWindow)
	case w.Per.Milliseconds() < int64(w.N)*maxShare:
		return fmt.Errorf("%d in %s is too fast to be counted; at most %d a second are", w.N, w.Per, 1000/maxShare)
	}
	return nil
}

// DefaultPerAccount are the mails that one account may cause: enough for a
// person who does not find the first one, too few to fill a mailbox.
func DefaultPerAccount() []Window {
	return []Window{{1, time.Minute}, {5, time.Hour}, {10, 24 * time.Hour}}
}

// DefaultPerIP is how often one address may ask.
func DefaultPerIP() Window { return Window{20, time.Hour} }

// permitted reports whether one more event now keeps every window, given the
// times of the earlier ones in ascending milliseconds.
func permitted(windows []Window, times []int64, now int64) bool {
	for _, w := range windows {
		if len(times) >= w.N && now-times[len(times)-w.N] < w.Per.Milliseconds() {
			return false
		}
	}
	return true
}

// remember appends now and forgets what no window looks at any more.
func remember(windows []Window, times []int64, now int64) []int64 {
	most := 1
	for _, w := range windows {
		most = max(most, w.N)
	}
	times = append(times, now)
	if extra := len(times) - most; extra > 0 {
		times = times[extra:]
	}
	return times
}

// mayMint reports whether the account may have one more mail.
//
// An account without a live link may have one per link_ttl beyond its limits:
// otherwise whoever asks often enough for somebody else would lock them out.
func (s *Site) mayMint(r *record, now time.Time, desk bool) bool {
	if len(r.Grants) >= maxLiveGrants {
		return false
	}
	if desk || permitted(s.config.PerAccount, r.Mints, now.UnixMilli()) {
		return true
	}
	last := r.Mints[len(r.Mints)-1]
	return len(r.Grants) == 0 && now.UnixMilli()-last >= s.config.LinkTTL.Milliseconds()
}

// maxLiveGrants bounds the record where the operator has switched the limits
// off, or sends mail after mail.
const maxLiveGrants = 20
