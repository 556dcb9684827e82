package embeddedstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"go.etcd.io/bbolt"
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
	metaFreePages = pageHeader + 32
	metaTx        = pageHeader + 48
	noFreePages   = 1<<64 - 1
)

// A pageWalk visits all pages that hold rows and makes sure that every
// position and page number in them stays within bounds. It reads the file, not
// the mapping, so that nothing it meets can be a memory fault.
type pageWalk struct {
	ctx      context.Context
	file     io.ReaderAt
	pageSize int
	pages    uint64 // how many are in use
	seen     map[uint64]bool
}

// walk visits the pages of tx. No other transaction may write meanwhile, and tx
// must not have written, so that the file is what tx sees.
func walk(ctx context.Context, tx *bbolt.Tx, file io.ReaderAt) error {
	size := tx.DB().Info().PageSize
	w := &pageWalk{
		ctx: ctx, file: file, pageSize: size,
		pages: uint64(tx.Size()) / uint64(size), seen: map[uint64]bool{},
	}
	from := uint64(tx.ID())
	if tx.Writable() {
		from-- // the state that it began with
	}
	if err := w.freePages(from); err != nil {
		return err
	}
	return w.visit(uint64(tx.Cursor().Bucket().Root()))
}

// freePages looks at the list of free pages in the state that a transaction
// left. bbolt's check visits as many pages as its header gives: up to four
// billion, with some memory for each.
func (w *pageWalk) freePages(tx uint64) error {
	header := make([]byte, metaTx+8)
	for meta := range int64(2) {
		if _, err := w.file.ReadAt(header, meta*int64(w.pageSize)); err != nil {
			return fmt.Errorf("reading page %d: %w", meta, err)
		}
		id := binary.NativeEndian.Uint64(header[metaFreePages:])
		if binary.NativeEndian.Uint64(header[metaTx:]) != tx || id == noFreePages {
			continue
		}
		if id < 2 || id >= w.pages {
			return fmt.Errorf("%w: page %d cannot be the list of free pages", ErrDamaged, id)
		}
		page := make([]byte, pageHeader)
		if _, err := w.file.ReadAt(page, int64(id)*int64(w.pageSize)); err != nil {
			return fmt.Errorf("reading page %d: %w", id, err)
		}
		flags, overflow := binary.NativeEndian.Uint16(page[8:]), uint64(binary.NativeEndian.Uint32(page[12:]))
		if flags != freePages || overflow >= w.pages-id {
			return fmt.Errorf("%w: page %d, the list of free pages, is longer than the file or of another kind", ErrDamaged, id)
		}
	}
	return nil
}

func (w *pageWalk) visit(id uint64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if id < 2 || id >= w.pages || w.seen[id] {
		return fmt.Errorf("%w: page %d cannot be where it is used", ErrDamaged, id)
	}
	w.seen[id] = true
	page := make([]byte, w.pageSize)
	offset := int64(id) * int64(w.pageSize)
	if _, err := w.file.ReadAt(page, offset); err != nil {
		return fmt.Errorf("reading page %d: %w", id, err)
	}
	if overflow := uint64(binary.NativeEndian.Uint32(page[12:])); overflow > 0 {
		if overflow >= w.pages-id {
			return fmt.Errorf("%w: page %d is longer than the file", ErrDamaged, id)
		}
		page = make([]byte, (1+overflow)*uint64(w.pageSize))
		if _, err := w.file.ReadAt(page, offset); err != nil {
			return fmt.Errorf("reading page %d: %w", id, err)
		}
	}
	return w.content(id, page)
}

// content visits what a page, or a bucket in place within one, holds.
func (w *pageWalk) content(id uint64, page []byte) error {
	if len(page) < pageHeader {
		return fmt.Errorf("%w: page %d holds a cut-off bucket", ErrDamaged, id)
	}
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage {
		return fmt.Errorf("%w: page %d is of an unknown kind", ErrDamaged, id)
	}
	for i := range count {
		start := uint64(pageHeader + i*pageElement)
		if start+pageElement > uint64(len(page)) {
			return fmt.Errorf("%w: page %d has more elements than room", ErrDamaged, id)
		}
		e := page[start:]
		word := func(at int) uint64 { return uint64(binary.NativeEndian.Uint32(e[at:])) }
		if flags == branchPage {
			if start+word(0)+word(4) > uint64(len(page)) {
				return fmt.Errorf("%w: a key of page %d is beyond it", ErrDamaged, id)
			}
			if err := w.visit(binary.NativeEndian.Uint64(e[8:])); err != nil {
				return err
			}
			continue
		}
		value := start + word(4) + word(8)
		if value+word(12) > uint64(len(page)) {
			return fmt.Errorf("%w: a row of page %d is beyond it", ErrDamaged, id)
		}
		if word(0)&bucketLeaf != 0 {
			if err := w.bucket(id, page[value:value+word(12)]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *pageWalk) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("%w: page %d holds a cut-off bucket", ErrDamaged, id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.visit(root)
	}
	return w.content(id, value[bucketHeader:])
}
