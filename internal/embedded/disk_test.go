package embedded_test

import (
	"os"
	"path/filepath"
	"testing"
)

// Otherwise a store that fills its disk half could not be written to after a restart.
func TestTheStoreLimitCountsWhatIsStored(t *testing.T) {
	t.Parallel()
	const stored = 8 << 40
	opts := quick(t.TempDir())
	path := filepath.Join(opts.DataDir, "jetstream", "block")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(stored); err != nil {
		t.Skip("the file system has no sparse files of this size: ", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	stats, err := start(t, opts).Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.StoreLimit < stored/4*3 {
		t.Errorf("limit %d bytes, want at least three quarters of the %d that are stored", stats.StoreLimit, int64(stored))
	}
}
