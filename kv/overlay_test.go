package kv_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

func TestOverlayWrites(t *testing.T) {
	o := kv.NewOverlay(func([]byte) ([]byte, error) { return []byte("stored"), nil })
	err := o.Run(func(tx kv.Tx) error {
		for _, key := range []string{"c", "a", "d", "b"} {
			if err := tx.Put([]byte(key), []byte(key)); err != nil {
				return err
			}
		}
		if _, err := tx.Get([]byte("read only")); err != nil {
			return err
		}
		return errors.Join(tx.Delete([]byte("d")), tx.Put([]byte("c"), nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for key, value := range o.Writes() {
		got = append(got, fmt.Sprintf("%s=%s, deleted: %t", key, value, value == nil))
	}
	want := []string{"a=a, deleted: false", "b=b, deleted: false", "c=, deleted: false", "d=, deleted: true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestOverlayReadsOnce(t *testing.T) {
	reads := 0
	o := kv.NewOverlay(func([]byte) ([]byte, error) { reads++; return nil, nil })
	_ = o.Run(func(tx kv.Tx) error {
		for range 3 {
			if value, err := tx.Get([]byte("a")); value != nil || err != nil {
				t.Errorf("Get = %q, %v", value, err)
			}
		}
		return nil
	})
	if reads != 1 {
		t.Errorf("%d reads of one key; want 1", reads)
	}
}

// A closure that ignores a failed read has decided on something it never saw.
func TestOverlayReadFault(t *testing.T) {
	fault := errors.New("disk")
	o := kv.NewOverlay(func([]byte) ([]byte, error) { return nil, fault })
	err := o.Run(func(tx kv.Tx) error {
		if _, err := tx.Get([]byte("a")); err != fault {
			t.Errorf("Get = %v; want the fault", err)
		}
		if err := tx.Put([]byte("a"), nil); err != fault {
			t.Errorf("Put after the fault = %v; want the fault", err)
		}
		return nil
	})
	if err != fault {
		t.Errorf("Run = %v; want the fault", err)
	}
}

func TestGuard(t *testing.T) {
	plain := errors.New("plain")
	if err := kv.Guard(func() error { return plain }); err != plain {
		t.Errorf("Guard = %v; want the error as it is", err)
	}
	tests := []struct {
		name string
		fn   func() error
		want string
	}{
		{"value", func() error { panic("hunter2") }, "a string at kv/overlay_test.go:"},
		{"error", func() error { panic(plain) }, "a *errors.errorString at kv/overlay_test.go:"},
		{"runtime", func() error { var p *kv.Pair; _ = p.Key[0]; return nil }, "a runtime.errorString at kv/overlay_test.go:"},
		{"index", func() error { var p []int; _ = p[len(p)]; return nil }, "a runtime.boundsError at kv/overlay_test.go:"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := kv.Guard(test.fn)
			if !errors.Is(err, kv.ErrUnknown) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Guard = %v; want ErrUnknown with %q", err, test.want)
			}
		})
	}
}
