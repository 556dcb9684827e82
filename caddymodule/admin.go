package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
)

func init() {
	caddy.RegisterModule(AdminAPI{})
}

// maxShownJobs bounds what is listed of each kind of a site.
const maxShownJobs = 1000

// AdminAPI is what an operator may see and do while Caddy runs, under
// /password_reset/ of the admin endpoint. It tells no login, address, token, code
// or password. docs/operators.md lists the routes.
type AdminAPI struct {
	find func() (seated, error) // nil: what runs
}

// A seated is what requests are about.
type seated struct {
	app     *App
	config  caddy.Context
	running bool   // Caddy runs this configuration
	inUse   string // key of the store that another Caddy says it has open
}

// CaddyModule returns the Caddy module information.
func (AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.password_reset", New: func() caddy.Module { return new(AdminAPI) }}
}

// Routes implements [caddy.AdminRouter].
func (a *AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminapi.Path, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// An adminRequest is one request with the app that answers it.
type adminRequest struct {
	*http.Request
	seated
	name string // what the path holds in place of {id}
}

type adminRoute struct {
	method, path string
	serve        func(http.ResponseWriter, adminRequest) error
}

var adminRoutes = []adminRoute{
	{"GET", "status", serveStatus},
	{"GET", "jobs", serveJobs},
	{"GET", "jobs/{id}", serveJob},
	{"POST", "jobs/{id}/retry", serveRetry},
	{"DELETE", "jobs/{id}", serveDrop},
	{"POST", "trace", serveTrace},
	{"POST", "send", serveSend},
	{"POST", "revoke", serveRevoke},
	{"POST", "check", serveCheck},
	{"GET", "export", serveExport},
	{"POST", "restore", serveRestore},
}

func (a *AdminAPI) serve(w http.ResponseWriter, r *http.Request) error {
	var methods []string
	path := strings.TrimPrefix(r.URL.Path, adminapi.Path)
	for _, route := range adminRoutes {
		name, ok := matchRoute(route.path, path)
		if !ok {
			continue
		}
		if route.method != r.Method {
			methods = append(methods, route.method)
			continue
		}
		find := a.find
		if find == nil {
			find = whatRuns
		}
		about, err := find()
		if err != nil {
			return err
		}
		return asAPIError(route.serve(w, adminRequest{Request: r, seated: about, name: name}))
	}
	if methods != nil {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use %s", strings.Join(methods, " or "))}
	}
	return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no such route; see %s in docs/operators.md", adminapi.Path)}
}

// matchRoute reports whether path is pattern, and what it holds for {id}.
func matchRoute(pattern, path string) (name string, ok bool) {
	before, after, has := strings.Cut(pattern, "{id}")
	if !has {
		return "", path == pattern
	}
	name, ok = strings.CutPrefix(path, before)
	if ok {
		name, ok = strings.CutSuffix(name, after)
	}
	return name, ok && name != "" && !strings.Contains(name, "/")
}

// whatRuns is the configuration that Caddy runs.
func whatRuns() (seated, error) {
	ctx := caddy.ActiveContext()
	if ctx.Context == nil {
		return seated{}, caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: errors.New("no configuration runs")}
	}
	app, err := ctx.AppIfConfigured("password_reset")
	if err != nil {
		return seated{}, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("the configuration that Caddy runs has no `password_reset`")}
	}
	return seated{app: app.(*App), config: ctx, running: true}, nil
}

// asAPIError gives an error the status that a client can act on.
func asAPIError(err error) error {
	status := http.StatusInternalServerError
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(caddy.APIError)):
		return err
	case errors.Is(err, reset.ErrJob):
		status = http.StatusNotFound
		err = adminapi.ErrNoJob
	case errors.Is(err, reset.ErrJobBusy):
		status = http.StatusConflict
		err = fmt.Errorf("%w; wait for what becomes of that", err)
	case errors.Is(err, reset.ErrLogin):
		status = http.StatusBadRequest
		err = errors.New("that is no login: it is empty, too long, or holds characters that no login has")
	case errors.Is(err, errNoCopy):
		status = http.StatusBadRequest
	case errors.Is(err, errCopying):
		status = http.StatusConflict
	case errors.Is(err, errShut), errors.Is(err, errStillUsed), errors.Is(err, errEnded),
		errors.Is(err, reset.ErrUnavailable), errors.Is(err, errStore):
		status = http.StatusServiceUnavailable
	}
	return caddy.APIError{HTTPStatus: status, Err: err}
}

func answer(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// errStore is wrapped by what the store does not do.
var errStore = errors.New("store does not open")

// onService runs fn with the service, on a store that is open meanwhile.
func (a *App) onService(ctx context.Context, fn func(*reset.Service) error) error {
	store, release, err := a.acquire(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	defer release()
	service, err := a.serviceOn(store)
	if err != nil {
		return err
	}
	return fn(service)
}

// onSubject reads a request of the help desk and runs fn with its site.
func (r adminRequest) onSubject(w http.ResponseWriter, fn func(site *reset.Site, login string) error) error {
	var s adminapi.Subject
	members := map[string]*string{"site": &s.Site, "login": &s.Login}
	if err := r.read(w, members, `{"site": "…", "login": "…"}`); err != nil {
		return err
	}
	id, err := r.app.oneSite(s.Site)
	if err != nil {
		return err
	}
	return r.app.onService(r.Context(), func(service *reset.Service) error { return fn(service.Site(id), s.Login) })
}

// read reads a body that is an object of strings. A member that was misspelt would
// leave it to another site, so there is none but these. What is wrong is told
// without quoting it: it may be a login.
func (r adminRequest) read(w http.ResponseWriter, members map[string]*string, like string) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, adminapi.MaxBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return caddy.APIError{HTTPStatus: http.StatusRequestEntityTooLarge, Err: fmt.Errorf("the body is longer than %d bytes", adminapi.MaxBody)}
	}
	var o strictjson.Object
	if err == nil {
		o, err = strictjson.Parse(text)
	}
	for name := range o {
		value, ok := o.Text(name)
		if into := members[name]; into != nil && ok {
			*into = value
		} else {
			err = errors.New("a member is unknown or no string")
		}
	}
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("body: %w; write %s", err, like)}
	}
	return nil
}

// oneSite returns the id of the site that is meant; "" means the only one.
func (a *App) oneSite(id string) (string, error) {
	ids := a.siteIDs()
	switch {
	case id == "" && len(ids) == 1:
		return ids[0], nil
	case slices.Contains(ids, id):
		return id, nil
	case len(ids) == 0:
		return "", caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("there is no site: write `password_reset` in the site block of your app, too")}
	case id == "":
		return "", caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("there are several sites, say which one: %s", strings.Join(ids, ", "))}
	default:
		return "", caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("there is no site %q; there are: %s", id, strings.Join(ids, ", "))}
	}
}

// siteIDs returns the ids of all sites in order.
func (a *App) siteIDs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.sites))
}

// moment is a time as JSON has it, or nothing.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Interface guards
var (
	_ caddy.AdminRouter = (*AdminAPI)(nil)
	_ caddy.Module      = AdminAPI{}
)
