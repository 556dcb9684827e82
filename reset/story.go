package reset

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what a record remembers. Whoever asks again and again for somebody
// else must neither fill the disk nor push out what became of the others.
const (
	maxStories = 8
	maxLimited = 3 // of them, that were limited
	maxTold    = 12

	// storyLife is how long it is known what became of the requests of an account,
	// and unknownLife of those for a login without one, which a flood may bring in
	// any number.
	storyLife   = 24 * time.Hour
	unknownLife = 2 * time.Hour

	// mailToldSize is the length of step and detail of what became of a mail. It
	// is always the same, so that the row of a hit grows as that of a miss.
	mailToldSize = 72
)

// A story is what became of one request, as the record of its account keeps it
// for [Site.Trace]. It names no login and holds no token.
type story struct {
	Reference string `json:"r"`
	Asked     int64  `json:"a"`
	Desk      bool   `json:"o,omitempty"` // the operator has asked
	Mail      told   `json:"m"`           // how the mail ended; no step yet: it is under way
	Later     []told `json:"l,omitempty"`
}

// A told is one step of a story.
type told struct {
	Step   Step   `json:"s"`
	At     int64  `json:"t"`
	Detail string `json:"d,omitempty"`
}

// begin adds a request that a mail is made for, or none: both look alike.
func (r *record) begin(reference string, asked int64, desk bool, now time.Time) {
	if r.story(reference) != nil {
		return // an earlier attempt has begun it
	}
	r.Stories = append(r.Stories, story{Reference: reference, Asked: asked, Desk: desk})
	r.mailEnded(reference, "", now, "")
	r.shorten()
}

// shorten drops the oldest stories until the others have room. Of those that were
// limited it leaves room for one more: who only asks again and again must not push
// out what became of the others.
func (r *record) shorten() {
	for len(r.Stories) > 1 {
		b, err := json.Marshal(r.Stories)
		if err != nil || len(r.Stories) <= maxStories && len(b) <= storiesRoom {
			return
		}
		if !r.dropLimited(maxLimited - 1) {
			r.Stories = r.Stories[1:]
		}
	}
}

// dropLimited drops the oldest story that was limited, if there are more than most.
func (r *record) dropLimited(most int) bool {
	oldest, n := 0, 0
	for i, t := range slices.Backward(r.Stories) {
		if t.Mail.Step == StepLimited {
			oldest, n = i, n+1
		}
	}
	if n > most {
		r.Stories = slices.Delete(r.Stories, oldest, oldest+1)
	}
	return n > most
}

// mailEnded tells what became of the mail of a request.
func (r *record) mailEnded(reference string, s Step, now time.Time, detail string) {
	t := r.story(reference)
	if t == nil {
		return
	}
	detail = storable(detail)
	room := mailToldSize - len(s)
	detail = detail[:min(len(detail), room)]
	t.Mail = told{Step: s, At: now.UnixMilli(), Detail: detail + strings.Repeat(" ", room-len(detail))}
	if s == StepLimited {
		r.dropLimited(maxLimited)
	}
}

// tell adds a step to the story of a request, if it is still known.
func (r *record) tell(reference string, s Step, at time.Time, detail string) {
	t := r.story(reference)
	if t == nil || len(t.Later) >= maxTold {
		return
	}
	detail = storable(detail)
	t.Later = append(t.Later, told{Step: s, At: at.UnixMilli(), Detail: detail[:min(len(detail), mailToldSize)]})
	r.shorten()
}

// wasTold reports whether the step is in the story of a request.
func (r *record) wasTold(reference string, s Step) bool {
	t := r.story(reference)
	return t != nil && slices.ContainsFunc(t.Later, func(o told) bool { return o.Step == s })
}

func (r *record) story(reference string) *story {
	for n := range r.Stories {
		if r.Stories[n].Reference == reference {
			return &r.Stories[n]
		}
	}
	return nil
}

// storable keeps the length of a detail what it is in a row: JSON would make six
// bytes of one of these.
func storable(detail string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || strings.ContainsRune(`<>&"\`, c) {
			return ' '
		}
		return c
	}, detail)
}

// told returns the steps of a story in order.
func (t story) told(site string) (steps []Event) {
	add := func(o told) {
		if o.Step == "" {
			return
		}
		steps = append(steps, Event{
			At: time.UnixMilli(o.At), Site: site, Reference: t.Reference, Step: o.Step, Detail: strings.TrimRight(o.Detail, " "),
		})
	}
	add(told{Step: StepAsked, At: t.Asked, Detail: askedBy(t.Desk)})
	add(t.Mail)
	for _, o := range t.Later {
		add(o)
	}
	return steps
}

// openings are the grants whose page was seen, and when first. A GET writes
// nothing, so it is known in memory until a new password is given; a mail scanner
// may have been the one who looked.
type openings struct {
	mu    sync.Mutex
	first map[id]time.Time
}

// maxOpenings bounds the memory: beyond it, some are told anew.
const maxOpenings = 10_000

// add notes that a grant's page is shown and reports whether it is for the first
// time.
func (o *openings) add(grant id, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, seen := o.first[grant]; seen {
		return false
	}
	if len(o.first) >= maxOpenings {
		clear(o.first)
	}
	o.first[grant] = now
	return true
}

// at returns when the page was first seen; the zero time if that is not known.
func (o *openings) at(grant id) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first[grant]
}
