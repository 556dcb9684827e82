//go:build !nosync

package embeddedstore

// noSync is true only in a build with the tag nosync, which exists to show
// that the power-cut test finds a store that does not sync.
const noSync = false
