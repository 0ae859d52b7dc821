package client

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

var (
	textType      = reflect.TypeFor[secret.Text]()
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	redacted      = []byte(`"` + secret.Redacted + `"`)
)

// encode encodes v as encoding/json does, but with the plaintext of each [secret.Text]:
// Hawser needs it. Secrets inside types that marshal themselves stay redacted.
func encode(v any) (json.RawMessage, error) {
	doc, err := json.Marshal(v)
	if err != nil || !bytes.Contains(doc, redacted) {
		return doc, err
	}
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return json.Marshal(reveal(tree, reflect.ValueOf(v)))
}

// encodeConfig is encode for a config. It refuses a config with a redacted secret, which
// would be stored and fail at the provider.
func encodeConfig(v any) (json.RawMessage, error) {
	doc, err := encode(v)
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config cannot be sent")
	if err != nil {
		// The encoder's error may quote a value.
		e.Errors = []schema.FieldError{{Path: "config", Message: "cannot be encoded as JSON"}}
		return nil, e
	}
	if bytes.Contains(doc, redacted) {
		e.Errors = []schema.FieldError{{Path: "config", Message: "contains [redacted] instead of a secret"}}
		return nil, e
	}
	return doc, nil
}

// reveal replaces the redacted secrets in tree, which is v as JSON, by those of v.
func reveal(tree any, v reflect.Value) any {
	if !v.IsValid() || tree == nil {
		return tree
	}
	if v.Type() == textType {
		return v.Interface().(secret.Text).Reveal()
	}
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		return reveal(tree, v.Elem())
	}
	if v.Type().Implements(marshaler) || v.Type().Implements(textMarshaler) {
		return tree
	}
	object, isObject := tree.(map[string]any)
	list, isList := tree.([]any)
	switch k := v.Kind(); {
	case k == reflect.Struct && isObject:
		revealFields(object, v)
	case k == reflect.Map && isObject && v.Type().Key().Kind() == reflect.String:
		for key, value := range v.Seq2() {
			if member, ok := object[key.String()]; ok {
				object[key.String()] = reveal(member, value)
			}
		}
	case (k == reflect.Slice || k == reflect.Array) && isList:
		for i := range min(len(list), v.Len()) {
			list[i] = reveal(list[i], v.Index(i))
		}
	}
	return tree
}

func revealFields(object map[string]any, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			reveal(object, v.Field(i)) // its fields are members of object
			continue
		case !field.IsExported() && !field.Anonymous || name == "-":
			continue
		case name == "":
			name = field.Name
		}
		if member, ok := object[name]; ok {
			object[name] = reveal(member, v.Field(i))
		}
	}
}
