package schema_test

import (
	"strings"
	"testing"
)

const (
	benchSchema = `{"type":"object","additionalProperties":false,"required":["text"],"properties":{
		"text":{"type":"string","minLength":1},"channel":{"type":"string","default":"general"},
		"count":{"type":"integer","minimum":0},"flag":{"type":"boolean"}}}`
	benchSmall = `{"text":"Hello there, this is a message to the channel","channel":"general","count":12,"flag":true}`
)

// benchList is a document of 1 KB, and its schema.
func benchList() (schema, doc string) {
	schema = `{"type":"object","additionalProperties":false,"properties":{"items":{"type":"array","items":` + benchSchema + `}}}`
	doc = `{"items":[` + strings.TrimSuffix(strings.Repeat(benchSmall+",", 10), ",") + `]}`
	return schema, doc
}

func BenchmarkValidate(b *testing.B) {
	schema, doc := benchList()
	for _, bench := range []struct{ name, schema, doc string }{
		{"100B", benchSchema, benchSmall},
		{"1KB", schema, doc},
		{"100B-default-filled", benchSchema, strings.Replace(benchSmall, `"channel":"general",`, "", 1)},
		{"100B-invalid", benchSchema, strings.Replace(benchSmall, "true", "1", 1)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := mustSchema(b, bench.schema)
			data := []byte(bench.doc)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.Validate(data)
			}
		})
	}
}

func BenchmarkParseSchema(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustSchema(b, benchSchema)
	}
}
