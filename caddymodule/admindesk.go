package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A shownTrace is what became of the latest requests for a login.
type shownTrace struct {
	Site     string         `json:"site"`
	Requests []shownRequest `json:"requests"`
}

type shownRequest struct {
	Reference string      `json:"reference"`
	Steps     []shownStep `json:"steps"`
	OpenUntil *time.Time  `json:"open_until,omitempty"`
	Waiting   []shownJob  `json:"waiting,omitempty"`
}

type shownStep struct {
	At     time.Time `json:"at"`
	Step   string    `json:"step"`
	Detail string    `json:"detail,omitempty"`
}

type shownSending struct {
	Reference string `json:"reference"`
}

type shownRevocation struct {
	Mails   int    `json:"mails"`
	Links   int    `json:"links"`
	Changes int    `json:"changes"`
	Warning string `json:"warning,omitempty"`
}

func serveTrace(w http.ResponseWriter, r adminRequest) error {
	return r.onSubject(w, func(site *reset.Site, login string) error {
		traced, err := site.Trace(r.Context(), login)
		if err != nil {
			return err
		}
		shown := shownTrace{Site: site.ID(), Requests: []shownRequest{}}
		for _, t := range traced {
			q := shownRequest{Reference: t.Reference, OpenUntil: moment(t.OpenUntil)}
			for _, e := range t.Steps {
				q.Steps = append(q.Steps, shownStep{At: e.At.UTC(), Step: string(e.Step), Detail: e.Detail})
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
		return answer(w, http.StatusAccepted, shownSending{Reference: reference})
	})
}

func serveRevoke(w http.ResponseWriter, r adminRequest) error {
	return r.onSubject(w, func(site *reset.Site, login string) error {
		done, err := site.Revoke(r.Context(), login)
		if err != nil {
			return err
		}
		shown := shownRevocation{Mails: done.Mails, Links: done.Links, Changes: done.Changes}
		if done.Unasked != nil {
			shown.Warning = "the directory could not be asked which accounts this login has: " + done.Unasked.Error()
		}
		return answer(w, http.StatusOK, shown)
	})
}
