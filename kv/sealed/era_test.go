package sealed_test

import (
	"errors"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
)

// A marker is a sealed.Marker in memory; a failing one refuses to be set.
type marker struct {
	generation uint64
	fail       bool
}

var errMarker = errors.New("marker is broken")

func (m *marker) Generation() (uint64, error) { return m.generation, nil }

func (m *marker) SetGeneration(n uint64) error {
	if m.fail {
		return errMarker
	}
	m.generation = n
	return nil
}

// A history is a store and its marker, as they are found on disk.
type history struct {
	inner  *kvtest.MemStore
	marker uint64
}

// run opens the store, and closes it unless it is to crash, and returns its
// era and how many alarms were logged.
func (h *history) run(t *testing.T, crash bool) (era uint64, alarms int) {
	t.Helper()
	var log journal
	m := &marker{generation: h.marker}
	s := open(t, h.inner, sealed.Options{Marker: m, Logger: log.logger()})
	era = s.Era()
	if !crash {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	h.inner, h.marker = h.inner.Copy(), m.generation
	return era, log.count("alarm=true")
}

func TestEra(t *testing.T) {
	h := history{inner: kvtest.Memory()}
	first, alarms := h.run(t, false)
	if first == 0 || alarms != 0 {
		t.Errorf("new store: era %d, %d alarms", first, alarms)
	}
	for _, crash := range []bool{false, true, true, false} {
		if era, alarms := h.run(t, crash); era != first || alarms != 0 {
			t.Errorf("opened again: era %d, %d alarms; want %d and none", era, alarms, first)
		}
	}

	old := h.inner.Copy()
	h.run(t, false)
	last := first
	for range 3 { // the same old copy, again and again
		h.inner = old.Copy()
		era, alarms := h.run(t, false)
		if era <= last || alarms != 1 {
			t.Errorf("old copy: era %d after %d, %d alarms; want a larger one and one alarm", era, last, alarms)
		}
		if again, alarms := h.run(t, true); again != era || alarms != 0 {
			t.Errorf("after the old copy: era %d, %d alarms; want %d and none", again, alarms, era)
		}
		last = era
	}
}

// A copy that was made while the store was running is older, once that run has
// ended.
func TestEraCopyOfRunningStore(t *testing.T) {
	m := &marker{}
	inner := kvtest.Memory()
	s := open(t, inner, sealed.Options{Marker: m})
	old := inner.Copy()
	mustPut(t, s, "a", "used")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var log journal
	again := open(t, old, sealed.Options{Marker: m, Logger: log.logger()})
	if again.Era() <= s.Era() || log.count("alarm") != 1 {
		t.Errorf("era %d after %d, %d alarms", again.Era(), s.Era(), log.count("alarm"))
	}
}

// The new era may be stored by an update whose outcome is unknown; the one
// that settles it finds nothing wrong, and the alarm must come all the same.
func TestEraHostile(t *testing.T) {
	for seed := range uint64(20) {
		inner := kvtest.Memory()
		open(t, inner, sealed.Options{})
		var log journal
		m := &marker{generation: 100}
		hostile := kvtest.Faults{Seed: seed, Done: 2, Lost: -1}.Wrap(inner)
		s := open(t, hostile, sealed.Options{Marker: m, Logger: log.logger()})
		if s.Era() != 101 || log.count("alarm") != 1 {
			t.Errorf("seed %d: era %d, %d alarms; want 101 and one", seed, s.Era(), log.count("alarm"))
		}
	}
}

// A crash between the store and the marker leaves the store ahead: no alarm.
func TestEraCrashBetweenWrites(t *testing.T) {
	m := &marker{}
	inner := kvtest.Memory()
	era := open(t, inner, sealed.Options{Marker: m}).Era()
	m.fail = true
	for range 3 {
		if _, err := sealed.Open(t.Context(), inner, sealed.Options{Keys: [][]byte{key1}, Marker: m}); !errors.Is(err, errMarker) {
			t.Fatalf("Open = %v; want the fault of the marker", err)
		}
	}
	m.fail = false
	var log journal
	s := open(t, inner, sealed.Options{Marker: m, Logger: log.logger()})
	if s.Era() != era || log.count("alarm") != 0 {
		t.Errorf("era %d, %d alarms; want %d and none", s.Era(), log.count("alarm"), era)
	}
}

// The operator moved a store away and begins a new one: no alarm, but nothing
// of the old one is valid.
func TestEraNewStoreBesideMarker(t *testing.T) {
	m := &marker{generation: 40}
	var log journal
	s := open(t, kvtest.Memory(), sealed.Options{Marker: m, Logger: log.logger()})
	if s.Era() <= 40 || m.generation <= 40 || log.count("alarm") != 0 {
		t.Errorf("era %d, marker %d, %d alarms", s.Era(), m.generation, log.count("alarm"))
	}
}
