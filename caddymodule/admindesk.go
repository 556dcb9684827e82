package caddymodule

import (
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func serveTrace(w http.ResponseWriter, r adminRequest) error {
	return r.onSubject(w, func(site *reset.Site, login string) error {
		traced, err := site.Trace(r.Context(), login)
		if err != nil {
			return err
		}
		shown := adminapi.Trace{Site: site.ID(), Requests: []adminapi.Request{}}
		for _, t := range traced {
			q := adminapi.Request{Reference: t.Reference, OpenUntil: moment(t.OpenUntil)}
			for _, e := range t.Steps {
				q.Steps = append(q.Steps, adminapi.Step{At: e.At.UTC(), Step: string(e.Step), Detail: e.Detail})
			}
			for _, j := range t.Waiting {
				q.Waiting = append(q.Waiting, showJob(j))
			}
			shown.Requests = append(shown.Requests, q)
		}
		return answer(w, http.StatusOK, shown)
	})
}

func serveSend(w http.ResponseWriter, r adminRequest) error {
	return r.onSubject(w, func(site *reset.Site, login string) error {
		reference, err := site.Send(r.Context(), login)
		if err != nil {
			return err
		}
		return answer(w, http.StatusAccepted, adminapi.Sending{Reference: reference})
	})
}

func serveRevoke(w http.ResponseWriter, r adminRequest) error {
	return r.onSubject(w, func(site *reset.Site, login string) error {
		done, err := site.Revoke(r.Context(), login)
		if err != nil {
			return err
		}
		shown := adminapi.Revocation{Mails: done.Mails, Links: done.Links, Changes: done.Changes}
		if done.Unasked != nil {
			shown.Warning = "the directory could not be asked which accounts this login has: " + done.Unasked.Error()
		}
		return answer(w, http.StatusOK, shown)
	})
}
