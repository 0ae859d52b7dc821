package embedded

import (
	"context"
	"errors"
	"fmt"
)

// StoreFailure returns why the store takes no more writes until the server is restarted,
// after a failed write or sync for example; nil if it takes them.
func (s *Server) StoreFailure() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.nats.JetStreamEnabled() {
		return errors.New("the embedded NATS server has disabled JetStream, because its disk is full or fails")
	}
	return s.log.storeFailure()
}

// Restart stops the server and starts it on the same folder and address. Connections come
// back by themselves. After an error no server runs.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stopAndWait(s.nats)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		return fmt.Errorf("restart the embedded NATS server: it does not stop: %w", context.Cause(ctx))
	}
	ns, log, err := s.start(ctx, s.set)
	if err != nil {
		return fmt.Errorf("restart the embedded NATS server: %w", err)
	}
	s.nats, s.log = ns, log
	return nil
}
