package main

import (
	"path/filepath"
	"testing"
)

// The trial of power cuts finds what it is there for. All is planted in one
// program, and a variable chooses.
func TestPowerCutTestFindsPlants(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "strace")
	planted := filepath.Join(t.TempDir(), "planted")
	if err := buildWith(planted, t.TempDir(), powerCutPlants...); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		plant string
		lost  []string // of each, at least one must be found
	}{
		{"commits are not synced", []string{"answer, mail owed", "answer, token works", "mail, token works"}},
		{"result before the commit", []string{"answer, mail owed", "answer, wrong codes count"}},
		{"answer before the update", []string{"answer, mail owed"}},
		{"folder is not synced", everyPromise},
		{"key is not synced", everyPromise},
		{"generation is not synced", everyPromise},
	}
	for _, tt := range tests {
		t.Run(tt.plant, func(t *testing.T) {
			t.Parallel()
			c := newCuts(t, 8, 1)
			c.planted, c.world.Binary, c.world.Env["PLANT"] = true, planted, tt.plant
			c.world.traced(strace, c.act, c.take)
			found := make(map[string]int)
			for _, b := range c.broken {
				if !b.torn {
					found[b.promise.what()]++
				}
			}
			t.Logf("kept: %v; broken: %v", c.kept, found)
			for _, what := range tt.lost {
				if found[what] == 0 {
					t.Errorf("all outlived a power cut: %s", what)
				}
			}
		})
	}
}

// everyPromise is all that a promise can be.
var everyPromise = []string{
	"answer, mail owed", "answer, token works", "answer, token is used", "answer, wrong codes count", "mail, token works", "change, token is used",
}

var powerCutPlants = []edit{
	{
		"embeddedstore/file.go", "FreelistType: bbolt.FreelistMapType,",
		`FreelistType: bbolt.FreelistMapType, NoSync: os.Getenv("PLANT") == "commits are not synced",`,
	},
	{"embeddedstore/writer.go", `"errors"`, "\"errors\"\n\t\"os\""},
	{
		"embeddedstore/writer.go", "if s.beforeCommit != nil {",
		`if os.Getenv("PLANT") == "result before the commit" {
			for _, u := range batch {
				u.result <- u.err
			}
			batch = nil
			time.Sleep(50 * time.Millisecond) // or the commit may win
		}
		if s.beforeCommit != nil {`,
	},
	{"reset/request.go", `"unicode/utf8"`, "\"os\"\n\t\"unicode/utf8\""},
	{
		"reset/request.go", "err = s.update(ctx, func(tx kv.Tx) (err error) {\n\t\tqueued, err = s.place(tx, jobMail, j, now.Add(headStart))\n\t\treturn err\n\t})",
		`add := func(tx kv.Tx) (err error) {
			queued, err = s.place(tx, jobMail, j, now.Add(headStart))
			return err
		}
		if os.Getenv("PLANT") == "answer before the update" {
			go func() {
				_ = s.update(context.WithoutCancel(ctx), add)
				s.queue(jobMail).poke()
			}()
			return j.Reference, nil
		}
		err = s.update(ctx, add)`,
	},
	// Whoever makes a file syncs the folder: the store, its key, and the
	// generation at each start.
	{
		"embeddedstore/file.go", "d, err := os.Open(dir)",
		"if os.Getenv(\"PLANT\") == \"folder is not synced\" {\n\t\treturn nil\n\t}\n\td, err := os.Open(dir)",
	},
	{
		"kv/sealed/key.go", "d, err := os.Open(dir)",
		"if os.Getenv(\"PLANT\") == \"folder is not synced\" {\n\t\treturn nil\n\t}\n\td, err := os.Open(dir)",
	},
	{
		"kv/sealed/key.go", "errors.Join(err, f.Sync(), f.Close())",
		`errors.Join(err, func() error { if os.Getenv("PLANT") == "key is not synced" { return nil }; return f.Sync() }(), f.Close())`,
	},
	{
		"embeddedstore/generation.go", "errors.Join(err, f.Sync(), f.Close())",
		`errors.Join(err, func() error { if os.Getenv("PLANT") == "generation is not synced" { return nil }; return f.Sync() }(), f.Close())`,
	},
}
