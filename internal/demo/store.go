package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// store holds the state in memory and in one JSON file, which is replaced as a whole. A
// kill of the process leaves the old file or the new one. Safe for concurrent use.
type store struct {
	path string
	now  func() time.Time

	mu      sync.Mutex // guards state and version
	state   *state
	version uint64 // counts the changes of state

	file  sync.Mutex // guards the file and saved
	saved uint64     // version in the file
}

// openStore reads the state in folder, which it creates (0700) if need be. One store per
// folder at a time.
func openStore(folder string, now func() time.Time) (*store, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	s := &store{path: filepath.Join(folder, "state.json"), now: now, state: newState()}
	data, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(data, s.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("demo: read %s: %w; move the file away to start without it", s.path, err)
	}
	return s, s.update(func(*state) {})
}

// update calls fn, which may change the state, and returns when the file holds the state
// as fn left it. Concurrent updates share a write of the file.
func (s *store) update(fn func(*state)) error {
	s.mu.Lock()
	s.state.sweep(s.now())
	fn(s.state)
	s.version++
	mine := s.version
	s.mu.Unlock()

	s.file.Lock()
	defer s.file.Unlock()
	if s.saved >= mine {
		return nil
	}
	s.mu.Lock()
	version := s.version
	data, err := json.Marshal(s.state)
	s.mu.Unlock()
	if err == nil {
		err = replaceFile(s.path, data)
	}
	if err != nil {
		return fmt.Errorf("demo: store the state: %w", err)
	}
	s.saved = version
	return nil
}

// view calls fn with the state, which it must not change.
func (s *store) view(fn func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s.state)
}

// replaceFile writes a file beside path and renames it to path.
func replaceFile(path string, content []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
