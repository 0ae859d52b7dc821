package schema

import "strings"

// FieldError says what is wrong with one place of a JSON document. The message
// never holds the value that was found there.
type FieldError struct {
	// Path is dotted: "apiKey", "a.b", "items.0.name"; "" is the document itself.
	Path    string `json:"path"`
	Message string `json:"message"`
}

// FieldErrors is an error that reads as a list of field errors.
type FieldErrors []FieldError

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
