package embeddedstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// Layout of a page in a bbolt file, in the byte order of the machine: a header
// (id 8, flags 2, count 2, overflow 4), then count elements of 16 bytes. In a
// branch: position 4, key size 4, page 8. In a leaf: flags 4, position 4, key
// size 4, value size 4. Positions count from the start of their element.
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16 // root page 8, sequence 8; a root of 0 is a page in place
	branchPage   = 0x01
	leafPage     = 0x02
	freePages    = 0x10
	bucketLeaf   = 0x01

	// In a meta page, of which there are two.
	metaMagic     = pageHeader // and, in the next 4 bytes, the version
	metaPageSize  = pageHeader + 8
	metaRoot      = pageHeader + 16
	metaFreePages = pageHeader + 32
	metaPages     = pageHeader + 40
	metaTx        = pageHeader + 48
	metaChecksum  = pageHeader + 56
	metaEnd       = pageHeader + 64
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
	noFreePages   = 1<<64 - 1
)

// A state is what a transaction left, as one of the meta pages says.
type state struct {
	tx, root  uint64
	pages     uint64 // how many are in use or free
	freePages uint64 // where they are listed, or noFreePages
	page      []byte // what of the meta page is not zero
}

// newest returns the state that bbolt begins with: the younger of the two, or
// the one that is whole. The file must be long enough for it.
func newest(file *os.File, pageSize int) (newest state, err error) {
	found, err := states(file, pageSize)
	if err != nil {
		return newest, err
	}
	for _, s := range found {
		if s.tx >= newest.tx {
			newest = s
		}
	}
	info, err := file.Stat()
	if err != nil {
		return newest, err
	}
	if need := int64(newest.pages) * int64(pageSize); need > info.Size() {
		return newest, fmt.Errorf("%w: %d bytes of %d are missing at its end", ErrDamaged, need-info.Size(), need)
	}
	return newest, nil
}

// states returns what the meta pages say, those that are whole: one or two.
func states(file io.ReaderAt, pageSize int) (found []state, err error) {
	for meta := range int64(2) {
		page := make([]byte, metaEnd)
		if _, err := file.ReadAt(page, meta*int64(pageSize)); err != nil {
			return nil, fmt.Errorf("reading page %d: %w", meta, err)
		}
		word := func(at int) uint64 { return binary.NativeEndian.Uint64(page[at:]) }
		sum := fnv.New64a()
		_, _ = sum.Write(page[pageHeader:metaChecksum])
		magic, version := binary.NativeEndian.Uint32(page[metaMagic:]), binary.NativeEndian.Uint32(page[metaMagic+4:])
		if magic != boltMagic || version != boltVersion || sum.Sum64() != word(metaChecksum) ||
			binary.NativeEndian.Uint32(page[metaPageSize:]) != uint32(pageSize) {
			continue
		}
		found = append(found, state{
			tx: word(metaTx), root: word(metaRoot), pages: word(metaPages), freePages: word(metaFreePages), page: page,
		})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: neither of its first two pages is whole", ErrDamaged)
	}
	return found, nil
}

// A pageWalk visits all pages that hold rows and makes sure that every
// position and page number in them stays within bounds, that no two hold the
// same page, and that keys ascend. It finds all that makes bbolt panic when it
// does the same. It reads the file, not the mapping, so that nothing it meets
// can be a memory fault.
type pageWalk struct {
	ctx      context.Context
	file     io.ReaderAt
	pageSize int
	state    state
	seen     []bool
}

// A span is the keys that a page may hold: from the first on, and below the
// second. Nil is no bound.
type span struct{ from, below []byte }

// walk visits the pages of the newest state. Nobody may write meanwhile.
func walk(ctx context.Context, file *os.File, pageSize int) error {
	_, err := reached(ctx, file, pageSize)
	return err
}

// reached is walk, and tells of each page whether anything leads to it.
func reached(ctx context.Context, file *os.File, pageSize int) ([]bool, error) {
	state, err := newest(file, pageSize)
	if err != nil {
		return nil, err
	}
	w := &pageWalk{ctx: ctx, file: file, pageSize: pageSize, state: state, seen: make([]bool, state.pages)}
	if err := w.freePages(); err != nil {
		return nil, err
	}
	return w.seen, w.visit(state.root, span{})
}

// freePages looks at the list of free pages. bbolt's check visits as many pages
// as its header gives: up to four billion, with some memory for each.
func (w *pageWalk) freePages() error {
	id := w.state.freePages
	if id == noFreePages {
		return nil
	}
	if id < 2 || id >= w.state.pages {
		return fmt.Errorf("%w: page %d cannot be the list of free pages", ErrDamaged, id)
	}
	page := make([]byte, pageHeader)
	if _, err := w.file.ReadAt(page, int64(id)*int64(w.pageSize)); err != nil {
		return fmt.Errorf("reading page %d: %w", id, err)
	}
	flags, overflow := binary.NativeEndian.Uint16(page[8:]), uint64(binary.NativeEndian.Uint32(page[12:]))
	if flags != freePages || overflow >= w.state.pages-id {
		return fmt.Errorf("%w: page %d, the list of free pages, is longer than the file or of another kind", ErrDamaged, id)
	}
	for at := id; at <= id+overflow; at++ {
		w.seen[at] = true
	}
	return nil
}

// visit visits a page and those below it.
func (w *pageWalk) visit(id uint64, keys span) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if id < 2 || id >= w.state.pages {
		return fmt.Errorf("%w: page %d cannot be where it is used", ErrDamaged, id)
	}
	page := make([]byte, w.pageSize)
	offset := int64(id) * int64(w.pageSize)
	if _, err := w.file.ReadAt(page, offset); err != nil {
		return fmt.Errorf("reading page %d: %w", id, err)
	}
	if self := binary.NativeEndian.Uint64(page); self != id {
		return fmt.Errorf("%w: page %d says that it is %d", ErrDamaged, id, self)
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if overflow >= w.state.pages-id {
		return fmt.Errorf("%w: page %d is longer than the file", ErrDamaged, id)
	}
	for at := id; at <= id+overflow; at++ {
		if w.seen[at] {
			return fmt.Errorf("%w: page %d is used twice", ErrDamaged, at)
		}
		w.seen[at] = true
	}
	if overflow > 0 {
		page = make([]byte, (1+overflow)*uint64(w.pageSize))
		if _, err := w.file.ReadAt(page, offset); err != nil {
			return fmt.Errorf("reading page %d: %w", id, err)
		}
	}
	return w.content(id, page, keys)
}

// content visits what a page, or a bucket in place within one, holds.
func (w *pageWalk) content(id uint64, page []byte, keys span) error {
	if len(page) < pageHeader {
		return fmt.Errorf("%w: page %d holds a cut-off bucket", ErrDamaged, id)
	}
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage {
		return fmt.Errorf("%w: page %d is of an unknown kind", ErrDamaged, id)
	}
	if pageHeader+count*pageElement > len(page) {
		return fmt.Errorf("%w: page %d has more elements than room", ErrDamaged, id)
	}
	if flags == branchPage {
		return w.branch(id, page, count, keys)
	}
	for i := range count {
		start := uint64(pageHeader + i*pageElement)
		word := func(at uint64) uint64 { return uint64(binary.NativeEndian.Uint32(page[start+at:])) }
		from := start + word(4)
		value := from + word(8)
		if value+word(12) > uint64(len(page)) {
			return fmt.Errorf("%w: a row of page %d is beyond it", ErrDamaged, id)
		}
		key := page[from:value]
		if !keys.next(key, i) {
			return fmt.Errorf("%w: the keys of page %d do not ascend", ErrDamaged, id)
		}
		keys.from = key
		if word(0)&bucketLeaf != 0 {
			if err := w.bucket(id, page[value:value+word(12)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// branch visits the pages below one.
func (w *pageWalk) branch(id uint64, page []byte, count int, keys span) error {
	if count == 0 {
		// bbolt looks at the first all the same.
		return fmt.Errorf("%w: page %d leads nowhere", ErrDamaged, id)
	}
	firsts := make([][]byte, count, count+1)
	for i := range count {
		start := uint64(pageHeader + i*pageElement)
		from := start + uint64(binary.NativeEndian.Uint32(page[start:]))
		to := from + uint64(binary.NativeEndian.Uint32(page[start+4:]))
		if to > uint64(len(page)) {
			return fmt.Errorf("%w: a key of page %d is beyond it", ErrDamaged, id)
		}
		firsts[i] = page[from:to]
		if !keys.next(firsts[i], i) {
			return fmt.Errorf("%w: the keys of page %d do not ascend", ErrDamaged, id)
		}
		keys.from = firsts[i]
	}
	firsts = append(firsts, keys.below)
	for i := range count {
		child := binary.NativeEndian.Uint64(page[pageHeader+i*pageElement+8:])
		if err := w.visit(child, span{firsts[i], firsts[i+1]}); err != nil {
			return err
		}
	}
	return nil
}

func (w *pageWalk) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("%w: page %d holds a cut-off bucket", ErrDamaged, id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.visit(root, span{})
	}
	return w.content(id, value[bucketHeader:], span{})
}

// next reports whether the key may be the i-th of a page, after s.from. The
// first may be the bound itself.
func (s span) next(key []byte, i int) bool {
	if s.below != nil && bytes.Compare(key, s.below) >= 0 {
		return false
	}
	order := bytes.Compare(s.from, key)
	return s.from == nil || order < 0 || order == 0 && i == 0
}
