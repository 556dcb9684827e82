package caddymodule

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

// serveExport writes a copy of the store. Its length is announced, so that a
// client can tell a copy that was cut off.
func serveExport(w http.ResponseWriter, r adminRequest) error {
	out := &announced{ResponseWriter: w}
	progress := func(_, total int64) { out.total = total }
	if r.running {
		out.begin = func() { r.app.noteCopy(stepExported) }
		return r.app.export(r.Context(), out, progress)
	}
	return r.app.store.exportAlone(r.Context(), out, progress)
}

// announced says how long a body will be before its first byte.
type announced struct {
	http.ResponseWriter
	total int64
	begin func() // before the first byte, if not nil
	begun bool
}

func (a *announced) Write(b []byte) (int, error) {
	if !a.begun {
		a.begun = true
		if a.begin != nil {
			a.begin()
		}
		h := a.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "no-store")
		if a.total > 0 {
			h.Set("Content-Length", strconv.FormatInt(a.total, 10))
		}
	}
	return a.ResponseWriter.Write(b)
}

// uploadPause is how long a client that sends a copy may be silent. Caddy's admin
// endpoint would end every request after 10 s in all, and no larger copy, or one
// through a slow pipe, could be restored; without a bound a client that sends
// nothing would keep others from making a copy.
const uploadPause = 30 * time.Second

// A patientBody is the body of a request that may take as long as it goes on.
type patientBody struct {
	io.Reader
	conn *http.ResponseController
}

func (b patientBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(uploadPause)) // in this process there is none
	return b.Reader.Read(p)
}

// serveRestore puts the copy in the body in the place of the store.
func serveRestore(w http.ResponseWriter, r adminRequest) (err error) {
	var done adminapi.Restoration
	body := patientBody{r.Body, http.NewResponseController(w)}
	if r.running {
		done.Kept, err = r.app.restore(r.Context(), body)
	} else {
		done.Kept, err = r.app.store.restoreAlone(r.Context(), body)
	}
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, done)
}
