package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// journal is a file of lines that only grows, until replace puts a shorter
// equivalent in its place. A line is there after a crash if append returned
// nil; a line that was being written may be there, whole, or be missing.
// Not safe for concurrent use. The first failure to write is final: what lies
// behind a half-written line would be unreadable.
type journal struct {
	path   string
	file   *os.File
	size   int64
	failed error
}

// openJournal opens or creates the file at path, calls apply with each whole
// line in order (without the newline), and drops a torn last one.
func openJournal(path string, apply func(line []byte) error) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := replay(file, apply)
	if err == nil {
		// A later line must not be glued to the torn one.
		err = file.Truncate(size)
	}
	if err == nil {
		_, err = file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return &journal{path: path, file: file, size: size}, nil
}

// replay returns how many bytes of r are whole lines.
func replay(r io.Reader, apply func([]byte) error) (size int64, err error) {
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		if err := apply(line[:len(line)-1]); err != nil {
			return size, fmt.Errorf("line %d is damaged, move the file away to start afresh: %w", number, err)
		}
		size += int64(len(line))
	}
}

// append writes lines, each ended by a newline, and waits until they are on disk.
func (j *journal) append(lines []byte) error {
	if j.failed != nil || len(lines) == 0 {
		return j.failed
	}
	_, err := j.file.Write(lines)
	if err == nil {
		err = j.file.Sync()
	}
	j.failed = err
	j.size += int64(len(lines))
	return err
}

// replace makes lines the whole content. A crash leaves the old or the new one.
func (j *journal) replace(lines []byte) error {
	if j.failed != nil {
		return j.failed
	}
	file, err := writeBeside(j.path, lines)
	if err != nil {
		j.failed = err
		return err
	}
	j.failed = errors.Join(j.file.Close(), syncFolder(filepath.Dir(j.path)))
	j.file, j.size = file, int64(len(lines))
	return j.failed
}

func (j *journal) close() error { return j.file.Close() }

// writeBeside writes content next to path and renames it over path. The file
// it returns is open behind the content.
func writeBeside(path string, content []byte) (*os.File, error) {
	next := path + ".next"
	file, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// syncFolder makes a rename or a new file in folder survive a power loss.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
