package kv

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"path"
	"runtime"
	"slices"
)

// errEnded is what a Tx or a Reader answers after its closure has returned.
var errEnded = errors.New("transaction has ended")

// An Overlay is the [Tx] of one run of a closure, for use by engines: it keeps
// what the closure writes in memory until the engine takes it with Writes,
// shows the closure its own writes, and enforces the bounds of a transaction.
//
// It reads each key at most once from the engine. It is not safe for
// concurrent use, as a Tx need not be.
type Overlay struct {
	read  func(key []byte) ([]byte, error)
	rows  []overlaid // in order of their keys
	bytes int
	err   error
}

// An overlaid is one key that the closure has touched.
type overlaid struct {
	key     []byte
	stored  []byte // what the engine has, nil if nothing or if not read
	value   []byte // what the closure wrote, nil if it deleted
	read    bool
	written bool
}

// NewOverlay returns an Overlay over what read finds. read returns nil for a
// key that is not there; the Overlay never changes what read returned, and
// copies it before a closure sees it.
func NewOverlay(read func(key []byte) ([]byte, error)) *Overlay {
	return &Overlay{read: read}
}

// Run calls fn with the Overlay and returns nil if what it wrote is to be
// stored. Otherwise nothing is: the error is the one of fn as it is; or one
// that wraps [ErrLimit] or the engine's read error, if fn ignored it; or one
// that wraps [ErrUnknown], if fn panicked (see [Guard]).
//
// The Overlay is of no further use to the closure afterwards.
func (o *Overlay) Run(fn func(Tx) error) error {
	err := Guard(func() error { return fn(o) })
	if err == nil {
		err = o.err
	}
	o.err = errEnded
	return err
}

// Get implements [Tx].
func (o *Overlay) Get(key []byte) ([]byte, error) {
	r, err := o.touch(key)
	if err != nil {
		return nil, err
	}
	if r.written {
		return bytes.Clone(r.value), nil
	}
	if !r.read {
		stored, err := o.read(key)
		if err != nil {
			return nil, o.fail(err)
		}
		r.stored, r.read = stored, true
		if err := o.grow(len(stored)); err != nil {
			return nil, err
		}
	}
	return bytes.Clone(r.stored), nil
}

// Put implements [Tx].
func (o *Overlay) Put(key, value []byte) error {
	if o.err == nil && len(value) > MaxValue {
		return o.fail(fmt.Errorf("%w: value of %d bytes", ErrLimit, len(value)))
	}
	return o.write(key, append(make([]byte, 0, len(value)), value...))
}

// Delete implements [Tx].
func (o *Overlay) Delete(key []byte) error {
	return o.write(key, nil)
}

// Writes yields what the closure wrote, in order of the keys: a value, or nil
// for a key to be deleted. The slices belong to the engine from then on.
func (o *Overlay) Writes() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for i := range o.rows {
			if o.rows[i].written && !yield(o.rows[i].key, o.rows[i].value) {
				return
			}
		}
	}
}

func (o *Overlay) write(key, value []byte) error {
	r, err := o.touch(key)
	if err != nil {
		return err
	}
	if err := o.grow(len(value) - len(r.value)); err != nil {
		return err
	}
	r.value, r.written = value, true
	return nil
}

// touch returns the row of key and counts a key not touched before.
func (o *Overlay) touch(key []byte) (*overlaid, error) {
	if o.err != nil {
		return nil, o.err
	}
	i, found := slices.BinarySearchFunc(o.rows, key, func(r overlaid, key []byte) int {
		return bytes.Compare(r.key, key)
	})
	if found {
		return &o.rows[i], nil
	}
	switch {
	case len(key) == 0:
		return nil, o.fail(fmt.Errorf("%w: empty key", ErrLimit))
	case len(key) > MaxKey:
		return nil, o.fail(fmt.Errorf("%w: key of %d bytes", ErrLimit, len(key)))
	case len(o.rows) == MaxKeys:
		return nil, o.fail(fmt.Errorf("%w: more than %d keys", ErrLimit, MaxKeys))
	}
	if err := o.grow(len(key)); err != nil {
		return nil, err
	}
	o.rows = slices.Insert(o.rows, i, overlaid{key: bytes.Clone(key)})
	return &o.rows[i], nil
}

func (o *Overlay) grow(n int) error {
	o.bytes += n
	if o.bytes > MaxBytes {
		return o.fail(fmt.Errorf("%w: more than %d bytes", ErrLimit, MaxBytes))
	}
	return nil
}

// fail makes the error stick, so that a closure that ignores it cannot have
// half of its work stored.
func (o *Overlay) fail(err error) error {
	o.err = err
	return err
}

// Guard calls fn and turns a panic in it into an error that wraps
// [ErrUnknown]: one bad record must fail the closure that met it, not the
// process. The error names the type of the panic's value and the line, never
// the value, which may hold what was read from the store.
func Guard(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: closure panicked with a %T at %s", ErrUnknown, v, panicLine())
		}
	}()
	return fn()
}

// panicLine returns file and line of the function that panicked. It must be
// called from a deferred function.
func panicLine() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		inRuntime := len(f.Function) > 8 && f.Function[:8] == "runtime."
		if panicking && !inRuntime {
			return fmt.Sprintf("%s:%d", path.Join(path.Base(path.Dir(f.File)), path.Base(f.File)), f.Line)
		}
		panicking = panicking || inRuntime
		if !more {
			return "an unknown line"
		}
	}
}

var _ Tx = (*Overlay)(nil)
