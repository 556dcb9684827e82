package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// A disk is a folder as a power cut would leave it, replayed from what strace
// saw of a program: bytes of a file are sure to be there once an fsync that
// began after they were written has returned, names once an fsync of the
// folder has. Of what was written and not synced, all may be lost, or any
// sectors of it.
type disk struct {
	dir     string
	names   map[string]*inode // as the program sees them
	durable map[string]*inode // as they are after a power cut
	fds     map[int]*inode    // files of dir by descriptor

	begun map[string]*call // calls that have not returned, by thread
	mails map[string]int   // how many were handed to the relay, by address
	syncs int
	now   time.Time

	// cut is called at each moment after which somebody outside knows
	// something: the moment before the kernel gets it.
	cut func(m instant)
}

// An instant is when the program tells somebody something: an HTTP answer, by
// the port of the client; a mail, by its recipient and number; a change, by
// its webhook-id.
type instant string

func answerTo(port string) instant         { return instant("answer " + port) }
func mailTo(address string, n int) instant { return instant(fmt.Sprintf("mail %d %s", n, address)) }
func changeOf(id string) instant           { return instant("change " + id) }
func (m instant) kind() string             { kind, _, _ := strings.Cut(string(m), " "); return kind }

type inode struct {
	data    []byte
	version int // raised by each change of data

	kept        []byte // what is durable
	keptVersion int
}

// newDisk returns an empty folder.
func newDisk(dir string) *disk {
	return &disk{
		dir: dir, names: map[string]*inode{}, durable: map[string]*inode{}, fds: map[int]*inode{},
		begun: map[string]*call{}, mails: map[string]int{},
	}
}

// synced returns what a power cut leaves now if it takes all that was not
// synced, and whether there is any of that.
func (d *disk) synced() (files map[string][]byte, unsynced bool) {
	files = make(map[string][]byte)
	for name, f := range d.durable {
		files[name] = f.kept // replaced, never changed
		unsynced = unsynced || f.version != f.keptVersion
	}
	return files, unsynced
}

// torn returns what a power cut leaves now if it takes some sectors of what
// was not synced.
func (d *disk) torn(chance *rand.Rand) map[string][]byte {
	files := make(map[string][]byte)
	for _, name := range slices.Sorted(maps.Keys(d.durable)) {
		f := d.durable[name]
		files[name] = f.kept
		if f.version == f.keptVersion {
			continue
		}
		torn := bytes.Clone(f.kept)
		if len(f.data) > len(torn) && chance.IntN(2) == 0 {
			torn = append(torn, make([]byte, len(f.data)-len(torn))...)
		}
		for at := 0; at < min(len(torn), len(f.data)); at += sector {
			if chance.IntN(2) == 0 {
				end := min(at+sector, len(torn), len(f.data))
				copy(torn[at:end], f.data[at:end])
			}
		}
		files[name] = torn
	}
	return files
}

// name returns the name of a file in the folder.
func (d *disk) name(path string) (string, bool) {
	return filepath.Base(path), filepath.Dir(path) == d.dir
}

func (d *disk) covers(path string) bool {
	_, ok := d.name(path)
	return ok
}

func (f *inode) write(data []byte, at int, cut bool) {
	if end := at + len(data); end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	copy(f.data[at:], data)
	if cut {
		f.data = f.data[:at]
	}
	f.version++
}
