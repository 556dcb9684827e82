//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package embeddedstore

import (
	"errors"
	"os"
	"syscall"
)

// locks says that an open file can be renamed and removed, and has to be locked
// against that.
const locks = true

// abandon closes a file whose mapping bbolt could not undo. The mapping keeps
// the lock alive beyond Close, so it is given back first.
func abandon(f *os.File) error {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.Close()
}

// tryLock takes the lock that bbolt takes on a file that it writes. It is given
// back when f is closed.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}
