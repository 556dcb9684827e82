//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package embeddedstore

import (
	"os"
	"syscall"
)

// abandon closes a file whose mapping bbolt could not undo. The mapping keeps
// the lock alive beyond Close, so it is given back first.
func abandon(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}
