//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package embeddedstore

import "os"

// abandon closes a file whose mapping bbolt could not undo.
func abandon(f *os.File) error {
	return f.Close()
}
