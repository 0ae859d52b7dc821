package webhook

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// plain returns the request with its body decompressed, where the descriptor says that the
// provider signs it so. A body that is no gzip, or too large, stays as it is: its signature
// does not match then.
func plain(d *webhooks.Descriptor, r Request) Request {
	if !d.Decompress || !strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		return r
	}
	reader, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		return r
	}
	body, err := io.ReadAll(io.LimitReader(reader, d.BodyLimit()+1))
	if err != nil || int64(len(body)) > d.BodyLimit() {
		return r
	}
	r.Body = body
	return r
}
