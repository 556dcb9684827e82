//go:build nosync

package embeddedstore

// noSync makes every commit return before it is on disk. A build with the tag
// nosync loses data in a power cut; it exists to show that the power-cut test
// would notice.
const noSync = true
