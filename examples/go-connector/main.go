// Command go-connector is an executor with a connector of its own: it signs texts
// with a key that only it gets to see.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"

	"github.com/hawser-io/hawser/pkg/app"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

func main() { os.Exit(app.Executor(connector())) }

// config is what a tenant connects with. Being a Secret, the key is sealed at
// rest, masked in every answer, and in no log.
type config struct {
	Key  connectors.Secret `json:"key" jsonschema:"title=Signing key,minLength=16"`
	Name string            `json:"name,omitempty" jsonschema:"title=Signed by,default=somebody"`
}

type input struct {
	Text string `json:"text" jsonschema:"description=What to sign,minLength=1"`
}

type output struct {
	Signature string `json:"signature" jsonschema:"description=HMAC-SHA256 of the text in hex"`
	By        string `json:"by"`
}

func connector() connectors.Connector {
	return connectors.Connector{
		Key:      "signer",
		Metadata: connectors.Metadata{Name: "Signer", Description: "Signs texts."},
		Config:   schema.For[config](),
		Actions: []connectors.Action{
			connectors.NewAction("sign", sign, &connectors.ActionOptions{Description: "Signs a text.", Idempotent: true}),
		},
	}
}

// sign runs for one request. A connector with a provider would ask it here, by
// call.HTTP, which already carries the connection's credentials.
func sign(_ context.Context, call *connectors.Call, in input) (output, error) {
	c, err := connectors.ConfigAs[config](call)
	if err != nil {
		return output{}, err
	}
	mac := hmac.New(sha256.New, []byte(c.Key.Reveal()))
	mac.Write([]byte(in.Text))
	return output{Signature: hex.EncodeToString(mac.Sum(nil)), By: c.Name}, nil
}
