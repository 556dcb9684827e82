package sealed

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// KeySize is the size of a master key in bytes.
const KeySize = 32

// maxKeyFile is how much of a key file is read: a wrong path may name a huge
// or endless file.
const maxKeyFile = 4 << 10

// ParseKey reads a master key: 32 bytes in standard base64, as printed by
// openssl rand -base64 32, with white space around it ignored. The error never
// holds what was given.
func ParseKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("key is not base64; make one with: openssl rand -base64 32")
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("key has %d bytes; want %d, as from: openssl rand -base64 32", len(key), KeySize)
	}
	return key, nil
}

// LoadKeyFile reads a master key from a file that nobody but its owner may
// use. Others could have read it, and then the store, long ago: such a file is
// refused. The error wraps fs.ErrNotExist if there is no file.
func LoadKeyFile(path string) ([]byte, error) {
	key, err := loadKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("loading key file %s: %w", path, err)
	}
	return key, nil
}

// CreateKeyFile makes a random master key and stores it, durably, in a new
// file with mode 0600. The error wraps fs.ErrExist if there is a file already.
// It must not be called for a store that has records (see [HasRecords]): what
// was sealed under a lost key stays sealed.
func CreateKeyFile(path string) ([]byte, error) {
	key := make([]byte, KeySize)
	rand.Read(key)
	if err := createKeyFile(path, base64.StdEncoding.EncodeToString(key)+"\n"); err != nil {
		return nil, fmt.Errorf("creating key file %s: %w", path, err)
	}
	return key, nil
}

func loadKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("others may use it (mode %v); run chmod 600 on it, and replace the key if they may have read it", mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	return ParseKey(string(text))
}

// createKeyFile gives the file its name when all of it is on the disk: a crash
// leaves no key or a whole one. Half a key would keep the store from opening
// ever after. A link, unlike a rename, cannot replace a key that somebody else
// has made meanwhile.
func createKeyFile(path, line string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(line)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return err
	case err != nil:
		// A file system without hard links.
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fs.ErrExist, err)
		}
		if err := os.Rename(f.Name(), path); err != nil {
			return err
		}
	}
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
