package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// FileDirectory finds accounts in a CSV file with a header line and the
// columns id, login, email, name and locale. It is read again when it changes.
type FileDirectory struct {
	// Path is the file. Required.
	Path string `json:"path,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*FileDirectory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: directories + ".file", New: func() caddy.Module { return new(FileDirectory) }}
}

// UnmarshalCaddyfile reads:
//
//	directory file <path>
func (f *FileDirectory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	var err error
	if f.Path, err = oneValue(d, "directory file /etc/caddy/accounts.csv"); err != nil {
		return err
	}
	return options{}.parse(d)
}

// OpenDirectory implements [DirectoryOpener].
func (f *FileDirectory) OpenDirectory(s Site) (reset.Directory, error) {
	path, err := expand("path", f.Path)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("path is missing: the CSV file with the accounts")
	}
	return directory.NewFile(path, s.Logger)
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*FileDirectory)(nil)
	_ DirectoryOpener       = (*FileDirectory)(nil)
)
