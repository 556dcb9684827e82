package caddymodule

import (
	"errors"
	"sync"

	"github.com/caddyserver/caddy/v2"
)

var (
	// errShut says that a store is being replaced. It is over within seconds.
	errShut = errors.New("a copy is being put in the place of the store; try again in a moment")

	errCopying = errors.New("a copy of this store is being made or put back already; try again when that has ended")
)

// A storePool is the open stores, and which of them are copied or replaced.
type storePool struct {
	*caddy.UsagePool

	mu      sync.Mutex
	claimed map[string]bool // by who makes a copy or puts one back
	shut    map[string]bool // nobody new may use the store or open it
}

func newStorePool() *storePool {
	return &storePool{UsagePool: caddy.NewUsagePool(), claimed: make(map[string]bool), shut: make(map[string]bool)}
}

// claim lets its caller alone copy or replace a store, until the release.
func (p *storePool) claim(key string) (release func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.claimed[key] {
		return nil, errCopying
	}
	p.claimed[key] = true
	return func() { p.unset(p.claimed, key) }, nil
}

// close keeps everybody from the store until it is opened again: whoever has a
// reference goes on, and nobody gets a new one by acquire.
func (p *storePool) close(key string) (open func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut[key] = true
	return func() { p.unset(p.shut, key) }
}

// admits returns an error while the store is closed to all.
func (p *storePool) admits(key string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut[key] {
		return errShut
	}
	return nil
}

func (p *storePool) unset(set map[string]bool, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(set, key)
}
