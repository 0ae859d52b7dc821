package connectors

import (
	"maps"
	"slices"
	"strings"
)

// TellsBefore reports whether the redirect's query fills fields of the config: which
// has to happen before a code is exchanged, since addresses may be made of them.
func (o *OAuth2) QueryFillsConfig() bool { return len(o.queryFields()) > 0 }

// queryFields are the config's fields that Metadata fills from the redirect's query.
func (o *OAuth2) queryFields() (fields []string) {
	for _, field := range slices.Sorted(maps.Keys(o.Metadata)) {
		if from, _, _ := strings.Cut(o.Metadata[field], "."); from == "query" {
			fields = append(fields, field)
		}
	}
	return fields
}
