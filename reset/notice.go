package reset

import (
	"context"
	"time"
)

// newNotice prepares a mail that tells the owner of an account what became of
// a change. It is queued in the transaction that ends the change and is never
// held back by a limit: whoever changes a password must not be able to keep
// its owner from hearing of it.
func (s *Site) newNotice(l LetterKind, to Account, reference string, at time.Time) job {
	j := s.newJob(jobNotice, time.Now(), reference)
	j.Letter, j.To, j.Created = l, &to, at.UnixMilli()
	return j
}

// runNotice makes one attempt at a notice.
func (s *Site) runNotice(ctx context.Context, h *heldJob) error {
	if time.Now().UnixMilli() >= h.Deadline || h.To == nil {
		s.log.Warn("notice given up: its deadline is over", "reference", h.Reference, "letter", string(h.Letter))
		return s.finish(ctx, h, nil)
	}
	if err := s.leaseJob(ctx, h, nil); err != nil {
		return err
	}
	d := s.send(ctx, CallNotice, Letter{
		Kind: h.Letter, To: *h.To, MessageID: h.ID.String(), Reference: h.Reference,
		At: time.UnixMilli(h.Created), AskLink: s.config.Links.AskLink(),
		LinkTTL: s.config.LinkTTL, CodeTTL: s.config.CodeTTL,
	})
	s.logDelivery(h, d)
	if d.Status == Sent || d.Status == Rejected {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
		defer cancel()
		return s.finish(ctx, h, nil)
	}
	return s.retryMail(ctx, h, d.Err, nil)
}
