//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// fileLock is the lock on a data folder. The NATS server takes none, and two
// servers on one store corrupt it.
//
// The lock belongs to the open file, so it ends with the process however that
// ends. The file stays: removing it would let two processes lock two files of
// one name.
type fileLock struct{ file *os.File }

// lockFolder makes the folder if it does not exist and locks it. If another
// process holds the lock, the error names its pid.
func lockFolder(dir string) (*fileLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	path := folder(dir).lockPath()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data folder: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := holderOf(file)
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("the data folder %s is in use by %s: stop it first, or give this one another folder", dir, holder)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	lock := &fileLock{file: file}
	if err := lock.writePID(); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), lock.release())
	}
	return lock, nil
}

// writePID writes the pid into the file, for the error of other processes.
func (l *fileLock) writePID() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	return err
}

func holderOf(file *os.File) string {
	var buf [20]byte
	n, _ := file.ReadAt(buf[:], 0)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(buf[:n])))
	if err != nil {
		return "another hawser" // its pid is not written yet
	}
	return fmt.Sprintf("another hawser, process %d", pid)
}

// release unlocks the folder.
func (l *fileLock) release() error {
	if err := l.file.Close(); err != nil { // closing unlocks
		return fmt.Errorf("unlock the data folder: %w", err)
	}
	return nil
}
