package web

import "net/http"

// askCancel asks before it ends a grant: mail scanners follow this link too.
func (x *exchange) askCancel(site Site, _ fields) {
	if x.route.token == "" {
		x.fail(faultLink)
		return
	}
	if err := site.LookCancel(x.r.Context(), x.route.token, x.ip); err != nil {
		x.failWith(err)
		return
	}
	x.page(http.StatusOK, "cancel.html", Page{
		Token: x.route.token,
		Scrub: x.prefix + "/cancel",
	})
}

// cancel ends the grant.
func (x *exchange) cancel(site Site, _ fields) {
	if x.route.token == "" {
		x.fail(faultLink)
		return
	}
	if err := site.Cancel(x.r.Context(), x.route.token, x.ip); err != nil {
		x.failWith(err)
		return
	}
	x.told.Outcome = OutcomeCancelled
	if x.json {
		x.data(http.StatusOK, "application/json", struct {
			Status string `json:"status"`
		}{"cancelled"})
		return
	}
	x.page(http.StatusOK, "cancelled.html", Page{Scrub: x.prefix + "/cancel"})
}
