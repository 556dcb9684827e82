package embeddedstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// maxFindings is how many faults one Check names.
const maxFindings = 10

// Check reads the whole file and returns an error that wraps [ErrDamaged] and
// names the first faults, if there are any. Updates wait meanwhile, for seconds
// on a large store.
func (s *Store) Check(ctx context.Context) error {
	if err := s.usable(); err != nil {
		return fmt.Errorf("checking store: %w", err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var findings []error
	err := guard(func() error {
		// A writing transaction, because the check reads the list of free
		// pages, which writers change. It is always rolled back.
		return s.transact(func(tx *bbolt.Tx) error {
			// bbolt checks in a goroutine of its own, where a position beyond
			// the file would end the process: those are looked for first.
			if err := walk(ctx, s.file, s.pageSize); err != nil {
				return err
			}
			for finding := range tx.Check() { // to the end, or its goroutine stays
				if len(findings) < maxFindings {
					findings = append(findings, finding)
				}
			}
			return errNothing
		})
	})
	if err != nil && !errors.Is(err, errNothing) {
		return fmt.Errorf("checking store: %w", err)
	}
	if len(findings) > 0 {
		return fmt.Errorf("checking store: %w: %w", ErrDamaged, errors.Join(findings...))
	}
	return nil
}
