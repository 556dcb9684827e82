package caddymodule

import (
	"net/http"
	"slices"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

func showJob(j reset.WaitingJob) adminapi.Job {
	return adminapi.Job{
		ID: j.ID, Site: j.Site, Kind: j.Kind, Reference: j.Reference,
		Queued: j.Queued.UTC(), Due: j.Due.UTC(), Deadline: j.Deadline.UTC(),
		Attempts: j.Attempts, Trying: j.Trying, Cause: j.Cause,
	}
}

func serveStatus(w http.ResponseWriter, r adminRequest) error {
	s := adminapi.Status{Sites: r.app.siteIDs(), Store: adminapi.Store{Key: r.app.store.opener.StoreKey(), Open: true}}
	err := r.app.onService(r.Context(), func(service *reset.Service) error {
		waiting, err := service.Backlog(r.Context())
		for _, b := range waiting {
			s.Waiting = append(s.Waiting, adminapi.Backlog{Site: b.Site, Kind: b.Kind, Jobs: b.Waiting, Oldest: moment(b.Oldest)})
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
	all := adminapi.Jobs{Jobs: []adminapi.Job{}}
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
	slices.SortStableFunc(all.Jobs, func(a, b adminapi.Job) int { return a.Due.Compare(b.Due) })
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
