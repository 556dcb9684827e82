package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Steps of the check of the store.
const (
	stepFile   = "file"
	stepOpen   = "open"
	stepQueues = "queues"
)

// checkStore asks the store where it is in use, and looks whether Caddy could open
// it where it is not.
func (c *checkup) checkStore(ctx context.Context) []Finding {
	key := c.app.store.opener.StoreKey()
	if c.inUse == key {
		return []Finding{{Step: stepOpen, Seen: strings.TrimPrefix(key, "bbolt:") + ", by the Caddy that runs"}}
	}
	step := Finding{Step: stepOpen}
	b, local := c.app.store.opener.(*BboltStore)
	if local {
		if !c.running {
			if f, done := c.app.store.lookAt(b); done {
				return []Finding{f}
			}
		}
		step.Seen = b.path
	}
	var waiting []reset.Backlog
	var err error
	if c.running {
		err = c.app.onService(ctx, func(s *reset.Service) (err error) {
			waiting, err = s.Backlog(ctx)
			return err
		})
	} else {
		err = c.app.store.try(ctx)
	}
	if err != nil {
		step.fail(c.app.store.diagnose(err))
		return []Finding{step}
	}
	if !c.running {
		return []Finding{step}
	}
	jobs := Finding{Step: stepQueues, Seen: "nothing waits"}
	n := 0
	for _, w := range waiting {
		n += w.Waiting
	}
	if n > 0 {
		jobs.Seen = several(n, "job") + " waiting; caddy password-reset jobs lists them"
	}
	return []Finding{step, jobs}
}

// try opens the store and reads whether the keys fit, and no more. To use it would
// begin its next generation and bind it to the newest key: the configuration of
// before, without that key, could not go on with it.
func (c *storeConfig) try(ctx context.Context) (err error) {
	var inner kv.Store
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("the store is damaged (%T)", e)
		}
		if inner != nil {
			err = errors.Join(err, inner.Close())
		}
	}()
	opened, err := c.opener.OpenStore(ctx, c.log)
	if err != nil {
		return err // a guest may return a nil pointer with it, which is no nil store
	}
	inner = opened
	if m, ok := inner.(sealed.Marker); ok {
		if _, err := m.Generation(); err != nil {
			return err
		}
	}
	used, err := sealed.HasRecords(ctx, inner)
	if err != nil {
		return err
	}
	keys, err := c.presentKeys()
	switch {
	case errors.Is(err, fs.ErrNotExist) && used:
		return &missingKey{c.opener.(LocalStore).KeyFile()}
	case errors.Is(err, fs.ErrNotExist) || err == nil && !used:
		return nil // as new: what is missing is made at the first start
	case err != nil:
		return err
	}
	return sealed.Fits(ctx, inner, keys)
}

// presentKeys are the configured keys or that of the key file. It makes none.
func (c *storeConfig) presentKeys() ([][]byte, error) {
	local, ok := c.opener.(LocalStore)
	if len(c.keys) > 0 || !ok {
		return c.keys, nil
	}
	key, err := sealed.LoadKeyFile(local.KeyFile())
	if err != nil {
		return nil, &unfitKey{local.KeyFile(), err}
	}
	return [][]byte{key}, nil
}

// An unfitKey says why a key file that is there cannot be used.
type unfitKey struct {
	path string
	err  error
}

func (e *unfitKey) Error() string {
	_, why, _ := strings.Cut(e.err.Error(), e.path+": ")
	return "the key file " + e.path + ": " + why
}

func (e *unfitKey) Unwrap() error { return e.err }

// lookAt says what there is to say of a file that cannot be opened yet, or not by
// whoever asks: a check leaves no file behind.
func (c *storeConfig) lookAt(b *BboltStore) (f Finding, done bool) {
	f = Finding{Step: stepFile, Seen: b.path}
	info, err := os.Stat(b.path)
	switch {
	case isMissing(err):
		if link, err := os.Readlink(b.path); err == nil {
			f.fail(b.path+" is a link to "+link+", which is not there", "put that file back, or remove the link to begin with a new store")
			return f, true
		}
		if f = checkFolder(b.path); f.Broken {
			return f, true
		}
		if _, err := c.presentKeys(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.fail(c.diagnose(err))
		}
		return f, true
	case err != nil:
		f.fail("the file "+b.path+" cannot be looked at: "+withoutPath(err), "run the check as the user that Caddy runs as, and let that user enter each folder above the file")
		return f, true
	}
	if owner, mine := ownedByMe(info); !mine {
		f.Problem = fmt.Sprintf("it belongs to the user with id %d, and was not opened: files would be left that Caddy cannot use", owner)
		f.Cure = fmt.Sprintf("run the check as that user: sudo -u '#%d' caddy password-reset check …; if Caddy runs as another one, change the owner", owner)
		return f, true
	}
	return f, false
}

// checkFolder judges whether a new store can be made at a path.
func checkFolder(path string) Finding {
	step := Finding{Step: stepFile, Seen: path + " will be made when Caddy first runs"}
	switch dir, info, err := nearestFolder(path); {
	case err != nil:
		step.fail(fmt.Sprintf("the folder %s cannot be looked at: %s", dir, withoutPath(err)), "run the check as the user that Caddy runs as, and let that user enter it")
	case !info.IsDir():
		step.fail(dir+" is a file, so the store cannot be made in it", "name a file in a folder: `store bbolt PATH` in the global block")
	case !writable(dir):
		step.fail(fmt.Sprintf("the user that runs the check may not write to the folder %s, so the store cannot be made there", dir),
			"run the check as the user that Caddy runs as; if it is that one, let it own the folder")
	}
	return step
}
