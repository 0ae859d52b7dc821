package connectors_test

import (
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

func mustSchema(t testing.TB, doc string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(doc))
	if err != nil {
		t.Fatalf("schema.Parse(%s): %v", doc, err)
	}
	return s
}

// errorsOf returns field errors of pairs of a path and a message.
func errorsOf(pairs ...string) []schema.FieldError {
	var all []schema.FieldError
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, schema.FieldError{Path: pairs[i], Message: pairs[i+1]})
	}
	return all
}
