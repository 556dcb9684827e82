package main

import (
	"strings"
	"testing"
)

const printed = `goos: linux
{"level":"info","msg":"redirected default logger"}
BenchmarkForeignRequest/without/root-2   	298359591	         3.987 ns/op	       0 B/op	       0 allocs/op
BenchmarkForeignRequest/without/asset-2  	308240322	         4.008 ns/op	       0 B/op	       0 allocs/op
BenchmarkForeignRequest/with/root-2      	 33180848	        34.26 ns/op	       0 B/op	       0 allocs/op
BenchmarkForeignRequest/with/asset-2     	  5167321	        54.20 ns/op	       0 B/op	       %ALLOCS allocs/op
PASS
`

// The dearest page decides, less what it costs without us, and an allocation on
// any of them.
func TestForeignCosts(t *testing.T) {
	for _, tt := range []struct {
		asset, allocations, text string
		want                     verdict
	}{
		{"53.90", "0", "50 ns (root 30, asset 50), 0 allocations", pass},
		{"54.20", "0", "50 ns (root 30, asset 50), 0 allocations", fails},
		{"20.00", "1", "30 ns (root 30, asset 16), 1 allocations", fails},
	} {
		out := strings.NewReplacer("54.20", tt.asset, "%ALLOCS", tt.allocations).Replace(printed)
		all, err := foreignCostsIn(out)
		if err != nil {
			t.Fatal(err)
		}
		if r := all.row(); r.Text != tt.text || r.Verdict != tt.want {
			t.Errorf("%s %s; want %s %s", r.Text, r.Verdict, tt.text, tt.want)
		}
	}
	for name, out := range map[string]string{
		"nothing": "PASS",
		"no pair": "BenchmarkForeignRequest/with/root 5 34.26 ns/op 0 B/op 0 allocs/op",
	} {
		if all, err := foreignCostsIn(out); err == nil {
			t.Errorf("%s: %v", name, all)
		}
	}
}

func foreignCostsIn(out string) (costs, error) {
	measured, err := readBenchmarks([]byte(out))
	if err != nil {
		return nil, err
	}
	return foreignCosts(measured)
}
