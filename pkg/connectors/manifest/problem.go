package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// A Problem is one mistake of a file.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path,omitempty"` // dotted; "" is the document
	Message string `json:"message"`
}

// String returns "file:line:column: path message".
func (p Problem) String() string {
	text := p.Message
	if p.Path != "" {
		text = p.Path + " " + text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, text)
}

// Problems are all mistakes of one or several files, by file and line.
type Problems []Problem

// Error returns one problem a line.
func (l Problems) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (l Problems) sort() {
	slices.SortStableFunc(l, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// problemsOf returns the mistakes that err tells, at the places of the document.
func (d *document) problemsOf(err error) Problems {
	var fields []schema.FieldError
	if coded, ok := errors.AsType[*connectors.Error](err); ok {
		fields = coded.Errors
	} else if list, ok := errors.AsType[schema.FieldErrors](err); ok {
		fields = list
	}
	if len(fields) == 0 {
		fields = []schema.FieldError{{Message: err.Error()}}
	}
	all := make(Problems, len(fields))
	for i, f := range fields {
		at := d.position(f.Path)
		all[i] = Problem{File: d.file, Line: at.line, Column: at.column, Path: f.Path, Message: f.Message}
	}
	return all
}
