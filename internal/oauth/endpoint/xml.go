package endpoint

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Bounds of an XML document. Its size has been bounded before.
const (
	maxElements = 10_000
	maxDepth    = 32
)

// isXML reports whether a response is an XML document: by its content type, or because
// the provider's requests are XML. A page of HTML is not.
func isXML(o *connectors.OAuth2, header http.Header) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if kind == "text/html" || kind == "application/xhtml+xml" {
		return false
	}
	return kind == "application/xml" || kind == "text/xml" || strings.HasSuffix(kind, "+xml") || o.TokenBody == connectors.TokenBodyXML
}

var errXML = errors.New("the XML document is malformed, too large, or has a DTD")

// decodeXML reads an XML document into maps, lists and strings: the content of the root
// element, by the names of elements without their namespaces. Several elements of one
// name are a list, an attribute has an @ before its name, and text beside elements is
// #text.
//
//	<r><credentials token="t"><site>s</site></credentials></r>   credentials.@token   credentials.site
//
// Documents with a DTD are refused: there are no entities but XML's own five.
func decodeXML(body []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	elements := 0
	var root any
	for {
		switch token, err := d.Token(); t := token.(type) {
		case nil:
			if root == nil || !errors.Is(err, io.EOF) {
				return nil, errXML
			}
			return root, nil
		case xml.Directive:
			return nil, errXML
		case xml.StartElement:
			if root != nil {
				return nil, errXML
			}
			if root, err = readElement(d, t, 1, &elements); err != nil {
				return nil, err
			}
		}
	}
}

// readElement reads the content of an element up to its end.
func readElement(d *xml.Decoder, start xml.StartElement, depth int, elements *int) (any, error) {
	if *elements++; *elements > maxElements || depth > maxDepth {
		return nil, errXML
	}
	found := map[string]any{}
	for _, a := range start.Attr {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			found["@"+a.Name.Local] = a.Value
		}
	}
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errXML
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, errXML
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			child, err := readElement(d, t, depth+1, elements)
			if err != nil {
				return nil, err
			}
			switch before := found[t.Name.Local].(type) {
			case nil:
				found[t.Name.Local] = child
			case []any:
				found[t.Name.Local] = append(before, child)
			default:
				found[t.Name.Local] = []any{before, child}
			}
		case xml.EndElement:
			content := strings.TrimSpace(text.String())
			if len(found) == 0 {
				return content, nil
			}
			if content != "" {
				found["#text"] = content
			}
			return found, nil
		}
	}
}

// element is an element of a document to be written.
type element struct {
	attributes map[string]string
	children   map[string]*element
	text       string
}

// encodeXML returns a document with the parameters in a root element. Their names are
// paths as those of decodeXML.
func encodeXML(root string, form url.Values) string {
	top := &element{}
	for name := range form {
		at := top
		for step := range strings.SplitSeq(name, ".") {
			if attribute, ok := strings.CutPrefix(step, "@"); ok {
				if at.attributes == nil {
					at.attributes = map[string]string{}
				}
				at.attributes[attribute] = form.Get(name)
				at = nil
				break // registration checks that an attribute is the last step
			}
			if at.children[step] == nil {
				if at.children == nil {
					at.children = map[string]*element{}
				}
				at.children[step] = &element{}
			}
			at = at.children[step]
		}
		if at != nil {
			at.text = form.Get(name)
		}
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	top.write(&b, root)
	return b.String()
}

func (e *element) write(b *bytes.Buffer, name string) {
	b.WriteString("<" + name)
	for _, a := range slices.Sorted(maps.Keys(e.attributes)) {
		b.WriteString(" " + a + `="`)
		_ = xml.EscapeText(b, []byte(e.attributes[a])) // writing to a buffer cannot fail
		b.WriteString(`"`)
	}
	b.WriteString(">")
	_ = xml.EscapeText(b, []byte(e.text))
	for _, child := range slices.Sorted(maps.Keys(e.children)) {
		e.children[child].write(b, child)
	}
	b.WriteString("</" + name + ">")
}
