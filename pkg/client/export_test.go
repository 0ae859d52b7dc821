package client

import (
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// What reads foreign bytes, for the fuzz tests.

// ReadEvent reads a message of a subscription.
func ReadEvent(subject string, h events.Header, data []byte) (*Event, error) {
	return readEvent(subject, h, data)
}

// ProblemError reads a problem document.
func ProblemError(code, text string, document []byte) *connectors.Error {
	return problemError(code, text, document)
}
