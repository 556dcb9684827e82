package caddymodule

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// A shownStatus is how things stand, as the admin API tells.
type shownStatus struct {
	Sites   []string       `json:"sites"`
	Store   shownStore     `json:"store"`
	Waiting []shownBacklog `json:"waiting,omitempty"`
}

type shownStore struct {
	Key   string `json:"key"` // which one it is
	Open  bool   `json:"open"`
	Error string `json:"error,omitempty"`
}

type shownBacklog struct {
	Site   string     `json:"site"`
	Kind   string     `json:"kind"`
	Jobs   int        `json:"jobs"`
	Oldest *time.Time `json:"oldest,omitempty"`
}

// A shownJob is a job that waits.
type shownJob struct {
	ID        string    `json:"id"`
	Site      string    `json:"site"`
	Kind      string    `json:"kind"`
	Reference string    `json:"reference"`
	Queued    time.Time `json:"queued"`
	Due       time.Time `json:"due"`
	Deadline  time.Time `json:"deadline"`
	Attempts  int       `json:"attempts"`
	Trying    bool      `json:"trying"`
	Cause     string    `json:"cause,omitempty"`
}

type shownJobs struct {
	Jobs []shownJob `json:"jobs"`
}

func showJob(j reset.WaitingJob) shownJob {
	return shownJob{
		ID: j.ID, Site: j.Site, Kind: j.Kind, Reference: j.Reference,
		Queued: j.Queued.UTC(), Due: j.Due.UTC(), Deadline: j.Deadline.UTC(),
		Attempts: j.Attempts, Trying: j.Trying, Cause: j.Cause,
	}
}

func serveStatus(w http.ResponseWriter, r adminRequest) error {
	s := shownStatus{Sites: r.app.siteIDs(), Store: shownStore{Key: r.app.store.opener.StoreKey(), Open: true}}
	err := r.app.onService(r.Context(), func(service *reset.Service) error {
		waiting, err := service.Backlog(r.Context())
		for _, b := range waiting {
			s.Waiting = append(s.Waiting, shownBacklog{Site: b.Site, Kind: b.Kind, Jobs: b.Waiting, Oldest: moment(b.Oldest)})
		}
		return err
	})
	if err != nil {
		s.Store.Open, s.Store.Error = false, err.Error()
	}
	return answer(w, http.StatusOK, s)
}

func serveJobs(w http.ResponseWriter, r adminRequest) error {
	ids := r.app.siteIDs()
	if name := r.URL.Query().Get("site"); name != "" {
		id, err := r.app.oneSite(name)
		if err != nil {
			return err
		}
		ids = []string{id}
	}
	all := shownJobs{Jobs: []shownJob{}}
	err := r.app.onService(r.Context(), func(service *reset.Service) error {
		for _, id := range ids {
			jobs, err := service.Site(id).Waiting(r.Context(), maxShownJobs)
			if err != nil {
				return err
			}
			for _, j := range jobs {
				all.Jobs = append(all.Jobs, showJob(j))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all.Jobs, func(a, b shownJob) int { return a.Due.Compare(b.Due) })
	return answer(w, http.StatusOK, all)
}

func serveJob(w http.ResponseWriter, r adminRequest) error {
	var found reset.WaitingJob
	err := r.app.onService(r.Context(), func(service *reset.Service) (err error) {
		found, err = service.WaitingJob(r.Context(), r.name)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, showJob(found))
}

func serveRetry(w http.ResponseWriter, r adminRequest) error {
	err := r.app.onService(r.Context(), func(service *reset.Service) error { return service.RetryJob(r.Context(), r.name) })
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func serveDrop(w http.ResponseWriter, r adminRequest) error {
	err := r.app.onService(r.Context(), func(service *reset.Service) error { return service.DropJob(r.Context(), r.name) })
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
