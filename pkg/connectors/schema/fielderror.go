package schema

import "strings"

// FieldError describes what is wrong with one place of a JSON document. The message
// never contains the value of that place.
type FieldError struct {
	// Path is dotted: "apiKey", "a.b", "items.0.name"; "" is the document itself.
	Path    string `json:"path"`
	Message string `json:"message"`
}

// FieldErrors is a list of field errors as one error.
type FieldErrors []FieldError

// Error returns every path and message, separated by semicolons.
func (l FieldErrors) Error() string {
	var b strings.Builder
	for i, e := range l {
		if i > 0 {
			b.WriteString("; ")
		}
		if e.Path != "" {
			b.WriteString(e.Path + " ")
		}
		b.WriteString(e.Message)
	}
	return b.String()
}
