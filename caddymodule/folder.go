package caddymodule

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// nearestFolder returns what there is of the folders above a path: the lowest that
// exists, or a file that stands in the place of one.
func nearestFolder(path string) (dir string, info fs.FileInfo, err error) {
	dir = filepath.Dir(path)
	for {
		info, err = os.Stat(dir)
		if !isMissing(err) || dir == filepath.Dir(dir) {
			return dir, info, err
		}
		dir = filepath.Dir(dir)
	}
}

// isMissing reports whether an error says that there is no such file, also where a
// file stands in the place of a folder above it.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// withoutPath is an error of the file system without the path, where that is said
// already.
func withoutPath(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
