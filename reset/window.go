package reset

import "time"

// maxWindow is the longest window: for so long an account's mails are
// remembered.
const maxWindow = 24 * time.Hour

// A Window allows N events in any span of length Per. Per is at most a day.
type Window struct {
	N   int
	Per time.Duration
}

// valid reports whether the window limits anything and can be kept.
func (w Window) valid() bool { return w.N > 0 && w.Per > 0 && w.Per <= maxWindow }

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
func (s *Site) mayMint(r *record, now time.Time) bool {
	if len(r.Grants) >= maxLiveGrants {
		return false
	}
	if permitted(s.PerAccount, r.Mints, now.UnixMilli()) {
		return true
	}
	last := r.Mints[len(r.Mints)-1]
	return len(r.Grants) == 0 && now.UnixMilli()-last >= s.LinkTTL.Milliseconds()
}

// maxLiveGrants bounds the record where the operator has switched the limits
// off.
const maxLiveGrants = 20
