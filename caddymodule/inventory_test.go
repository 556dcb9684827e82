package caddymodule

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestInventoryCache holds that those who scrape often make the store be read once in a
// while, and that one which hangs holds up no scrape for long and is not shown as
// it once was for ever.
func TestInventoryCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c inventoryCache
		var looks atomic.Int64
		hang := make(chan struct{})
		var hangs atomic.Bool
		look := func(context.Context) inventory {
			n := looks.Add(1)
			if hangs.Load() {
				<-hang
			}
			return inventory{open: true, size: n}
		}
		want := func(what string, size int64, waited time.Duration) {
			t.Helper()
			begun := time.Now()
			got := c.get(look)
			if got.size != size || got.open != (size > 0) || time.Since(begun) != waited {
				t.Errorf("%s: %+v after %s, want size %d after %s", what, got, time.Since(begun), size, waited)
			}
		}
		want("first", 1, 0)
		time.Sleep(inventoryAge - time.Millisecond)
		want("soon after", 1, 0)
		time.Sleep(time.Millisecond)
		want("later", 2, 0)

		hangs.Store(true)
		time.Sleep(inventoryAge)
		var scrapes sync.WaitGroup
		for range 5 {
			scrapes.Go(func() { want("hanging", 2, inventoryWait) })
		}
		scrapes.Wait()
		if n := looks.Load(); n != 3 {
			t.Errorf("%d looks, want one that hangs", n-2)
		}
		time.Sleep(inventoryStale)
		want("hanging for long", 0, inventoryWait)

		hangs.Store(false)
		close(hang)
		synctest.Wait()
		want("well again", 3, 0)
		if n := looks.Load(); n != 3 {
			t.Errorf("%d looks, want 3", n)
		}
	})
}
