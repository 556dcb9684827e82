//go:build !unix

package caddymodule

import "io/fs"

// ownedByMe cannot tell here.
func ownedByMe(fs.FileInfo) (owner int, mine bool) { return 0, true }

// writable cannot tell here.
func writable(string) bool { return true }
