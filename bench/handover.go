package main

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// relayConnections is how many connections to the relay are open at once, ours
// by default and those of the comparison.
const relayConnections = 4

// handover measures how many mails a second go-smtp alone hands to the relay,
// over connections that it keeps: what no queue before it can exceed.
func (b *bench) handover(ctx context.Context, mail []byte) (rate float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.each)
	defer cancel()
	before, begun := b.relay.mails.Load(), time.Now()
	errs := make([]error, relayConnections)
	var running sync.WaitGroup
	for i := range errs {
		running.Go(func() { errs[i] = b.hand(ctx, mail) })
	}
	running.Wait()
	return float64(b.relay.mails.Load()-before) / time.Since(begun).Seconds(), errors.Join(errs...)
}

// hand sends the mail again and again until ctx ends.
func (b *bench) hand(ctx context.Context, mail []byte) error {
	c, err := smtp.Dial(b.relay.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		if err := c.Mail("support@example.com", nil); err != nil {
			return err
		}
		if err := c.Rcpt("person@example.com", nil); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		if _, err := bytes.NewReader(mail).WriteTo(w); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}
