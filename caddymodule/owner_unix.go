//go:build unix

package caddymodule

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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

// writable reports whether this process may make files in a folder.
func writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
