package connectors

import (
	"slices"
	"strings"
)

// ErrorWords are a provider's words for errors, beside those of the standards. A word
// matches an error code that is equal to it, and an error's description that contains it;
// case does not matter. Places of both that are not usual are named in TokenFields as error
// and error_description.
type ErrorWords struct {
	// DeadToken means that the code or the refresh token is refused for good: the user has
	// to authorise again.
	DeadToken []string `json:"dead_token,omitempty" yaml:"dead_token,omitempty"`
	// WrongApp means that the client's id or secret is refused.
	WrongApp []string `json:"wrong_app,omitempty" yaml:"wrong_app,omitempty"`
	// Retry means that a later request may succeed.
	Retry []string `json:"retry,omitempty" yaml:"retry,omitempty"`
	// Cancelled means, in the authorization response, that the user did not consent.
	Cancelled []string `json:"cancelled,omitempty" yaml:"cancelled,omitempty"`
}

// MatchesError reports whether one of the words is the error's code, or in its description.
func MatchesError(words []string, code, description string) bool {
	code, description = strings.TrimSpace(code), strings.ToLower(description)
	return slices.ContainsFunc(words, func(word string) bool {
		return word != "" && (strings.EqualFold(word, code) || strings.Contains(description, strings.ToLower(word)))
	})
}
