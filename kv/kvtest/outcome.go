package kvtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

func testRefusal(t *testing.T, s kv.Store) {
	put(t, s, "a", "1")
	refusal := errors.New("refused")
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		return errors.Join(tx.Put([]byte("a"), []byte("2")), tx.Delete([]byte("b")), tx.Put([]byte("c"), nil), refusal)
	})
	if !errors.Is(err, refusal) || errors.Is(err, kv.ErrUnknown) {
		t.Errorf("Update = %v; want the error of the closure as it is", err)
	}
	if err := s.Update(t.Context(), func(kv.Tx) error { return refusal }); err != refusal {
		t.Errorf("Update = %v; want the error of the closure as it is", err)
	}
	if err := s.View(t.Context(), func(kv.Reader) error { return refusal }); err != refusal {
		t.Errorf("View = %v; want the error of the closure as it is", err)
	}
	wantRows(t, s, "a", "1")
}

func testPanic(t *testing.T, s kv.Store) {
	const secret = "hunter2"
	err := s.Update(t.Context(), func(tx kv.Tx) error {
		if err := tx.Put([]byte("a"), []byte("1")); err != nil {
			return err
		}
		panic(secret)
	})
	if !errors.Is(err, kv.ErrUnknown) {
		t.Errorf("Update = %v; want an error that wraps ErrUnknown", err)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("Update = %v; names the value of the panic", err)
	}
	if err := s.View(t.Context(), func(kv.Reader) error { panic(secret) }); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("View = %v; want an error without the value of the panic", err)
	}
	wantRows(t, s)
	put(t, s, "a", "2")
	wantRows(t, s, "a", "2")
}

func testContext(t *testing.T, s kv.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Update(ctx, func(tx kv.Tx) error { return tx.Put([]byte("a"), []byte("1")) })
	if !errors.Is(err, kv.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v; want an error that wraps ErrUnknown and context.Canceled", err)
	}
	err = s.View(ctx, func(kv.Reader) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("View = %v; want an error that wraps context.Canceled", err)
	}
	put(t, s, "b", "2")
	wantRow(t, s, "b", []byte("2"))
}

func testEnded(t *testing.T, s kv.Store) {
	var kept kv.Tx
	update(t, s, func(tx kv.Tx) error {
		kept = tx
		return tx.Put([]byte("a"), []byte("1"))
	})
	if _, err := kept.Get([]byte("a")); err == nil {
		t.Error("Get after the end of the transaction: want an error")
	}
	if err := kept.Put([]byte("a"), []byte("2")); err == nil {
		t.Error("Put after the end of the transaction: want an error")
	}
	if err := kept.Delete([]byte("a")); err == nil {
		t.Error("Delete after the end of the transaction: want an error")
	}
	wantRows(t, s, "a", "1")
}

func testClosed(t *testing.T, s kv.Store) {
	put(t, s, "a", "1")
	if err := s.Close(); err != nil {
		t.Fatalf("Close = %v", err)
	}
	called := false
	err := s.Update(t.Context(), func(kv.Tx) error { called = true; return nil })
	if !errors.Is(err, kv.ErrUnknown) {
		t.Errorf("Update of a closed store = %v; want an error that wraps ErrUnknown", err)
	}
	if err := s.View(t.Context(), func(kv.Reader) error { called = true; return nil }); err == nil {
		t.Error("View of a closed store: want an error")
	}
	if called {
		t.Error("a closure was called on a closed store")
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close = %v; want nil", err)
	}
}
