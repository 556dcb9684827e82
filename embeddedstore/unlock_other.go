//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package embeddedstore

import "os"

// locks says that an open file can be renamed and removed. Here it cannot.
const locks = false

// abandon closes a file whose mapping bbolt could not undo.
func abandon(f *os.File) error {
	return f.Close()
}

// tryLock does nothing: see locks.
func tryLock(*os.File) error { return nil }
