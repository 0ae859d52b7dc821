package embedded

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rs/zerolog"
)

// serverLog hands the server's warnings and errors to our log. What it says at
// lower levels is left out.
type serverLog struct {
	to zerolog.Logger

	mu   sync.Mutex
	died []error // what the server would have ended the process for; guarded by mu
}

func (*serverLog) Noticef(string, ...any) {}
func (*serverLog) Debugf(string, ...any)  {}
func (*serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, args ...any) {
	l.to.Warn().Str("part", "nats").Msgf(format, args...)
}

func (l *serverLog) Errorf(format string, args ...any) {
	l.to.Error().Str("part", "nats").Msgf(format, args...)
}

// Fatalf does not end the process: Start returns it as an error.
func (l *serverLog) Fatalf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.died = append(l.died, fmt.Errorf(format, args...))
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.died...)
}
