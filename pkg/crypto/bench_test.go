package crypto_test

import (
	"fmt"
	"strings"
	"testing"
)

// benchRecord returns a record of about 1 KB with two secrets.
func benchRecord() (doc string, pointers []string) {
	var rest strings.Builder
	for i := range 20 {
		fmt.Fprintf(&rest, `,"field%d":{"name":"value %d","n":%d,"on":true}`, i, i, i*1000)
	}
	return `{"id":"c_1","config":{"apiKey":"` + strings.Repeat("k", 40) + `","channel":"general","webhookSecret":"` + strings.Repeat("s", 40) + `"}` + rest.String() + `}`,
		[]string{"/config/apiKey", "/config/webhookSecret"}
}

func BenchmarkSealFields(b *testing.B) {
	k := newKeyring(b)
	text, pointers := benchRecord()
	doc := []byte(text)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.SealFields(doc, pointers, here); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenFields(b *testing.B) {
	k := newKeyring(b)
	text, pointers := benchRecord()
	doc := []byte(mustSealFields(b, k, text, pointers...))
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.OpenFields(doc, pointers, here); err != nil {
			b.Fatal(err)
		}
	}
}
