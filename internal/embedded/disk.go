//go:build darwin || freebsd || linux

package embedded

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// storeLimit returns three quarters of what the disk has for the store: what is free, and
// what the store has already. The server's own default counts only what is free, so it
// would shrink with every start.
func storeLimit(dir folder) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(string(dir), &disk); err != nil {
		return 0, fmt.Errorf("read the free space of the data folder: %w", err)
	}
	total := int64(disk.Bavail) * int64(disk.Bsize)
	// What vanishes during the walk, or cannot be read, is not counted.
	_ = filepath.WalkDir(dir.storePath(), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total / 4 * 3, nil
}
