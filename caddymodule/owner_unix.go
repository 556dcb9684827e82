//go:build unix

package caddymodule

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByMe reports whether a file belongs to the user that runs this process, and
// to whom it does.
func ownedByMe(info fs.FileInfo) (owner int, mine bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, true
	}
	return int(s.Uid), int(s.Uid) == os.Geteuid()
}
