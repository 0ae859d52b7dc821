package webhook

import (
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// source is a compiled webhooks.Source.
type source struct {
	ref               reference
	separator, prefix string
}

func compileSource(s webhooks.Source) source {
	return source{ref: compileReference(s.From), separator: s.Separator, prefix: s.Prefix}
}

// candidates returns the values at the source, without the prefix. At least one
// if the reason is empty.
func (s *source) candidates(in *input) ([]string, Reason) {
	value, count := in.lookup(s.ref)
	switch {
	case count == 0 || value == "":
		return nil, ReasonMissingSignature
	case count > 1:
		return nil, ReasonMalformedSignature
	}
	items := []string{value}
	if s.separator != "" {
		items = strings.SplitN(value, s.separator, maxCandidates+1)
	}
	if len(items) > maxCandidates {
		return nil, ReasonMalformedSignature
	}
	found := items[:0]
	for _, item := range items {
		if rest, ok := strings.CutPrefix(item, s.prefix); ok && rest != "" {
			found = append(found, rest)
		}
	}
	if len(found) == 0 {
		return nil, ReasonMalformedSignature
	}
	return found, ""
}

// single returns the value at the source, if there is exactly one.
func (s *source) single(in *input) (string, bool) {
	found, reason := s.candidates(in)
	if reason != "" || len(found) != 1 {
		return "", false
	}
	return found[0], true
}
