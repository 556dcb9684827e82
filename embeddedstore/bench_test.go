package embeddedstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

// BenchmarkUpdate appends rows of 200 bytes under keys in order of time, as a
// queue does, from several goroutines at once.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { appendRows(b, openNew(b), writers) })
	}
}

// BenchmarkUpdateAfterFlood does it in a file that many rows have left: nearly
// all of its pages are free, and stay so.
func BenchmarkUpdateAfterFlood(b *testing.B) {
	s := openNew(b)
	flood(b, s, 200_000, 200_000)
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { appendRows(b, s, writers) })
	}
}

func appendRows(b *testing.B, s *embeddedstore.Store, writers int) {
	value := make([]byte, 200)
	updates, commits := s.Updates(), s.Commits()
	var next atomic.Uint64
	next.Store(updates)
	b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	if writers == 1 {
		for range b.N {
			appendRow(b, s, next.Add(1), value)
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				appendRow(b, s, next.Add(1), value)
			}
		})
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	b.ReportMetric(float64(s.Updates()-updates)/float64(s.Commits()-commits), "updates/commit")
}

func BenchmarkView(b *testing.B) {
	s := openNew(b)
	mustPut(b, s, "a", "1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := get(s, "a"); err != nil {
			b.Fatal(err)
		}
	}
}

func appendRow(b *testing.B, s kv.Store, n uint64, value []byte) {
	err := s.Update(context.Background(), func(tx kv.Tx) error {
		var key [8]byte
		binary.BigEndian.PutUint64(key[:], n)
		return tx.Put(key[:], value)
	})
	if err != nil {
		b.Error(err)
	}
}
