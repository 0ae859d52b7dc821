package embedded

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// serverLog writes the server's warnings and errors into our log. Lower levels
// are dropped.
type serverLog struct {
	to zerolog.Logger

	mu     sync.Mutex
	fatals []error // guarded by mu
	store  error   // the first error after which a stream takes no more writes; guarded by mu
}

func (*serverLog) Noticef(string, ...any) {}
func (*serverLog) Debugf(string, ...any)  {}
func (*serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, args ...any) {
	l.to.Warn().Str("part", "nats").Msgf(format, args...)
}

func (l *serverLog) Errorf(format string, args ...any) {
	l.to.Error().Str("part", "nats").Msgf(format, args...)
	if !strings.Contains(strings.ToLower(format), criticalWriteError) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil {
		l.store = fmt.Errorf(format, args...)
	}
}

// criticalWriteError is in the server's message about a store that takes no more writes
// until the server is restarted. The server has no other way to tell.
const criticalWriteError = "critical write error"

func (l *serverLog) storeFailure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.store
}

// Fatalf records the error, which Start returns; the process does not end.
func (l *serverLog) Fatalf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatals = append(l.fatals, fmt.Errorf(format, args...))
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.fatals...)
}
