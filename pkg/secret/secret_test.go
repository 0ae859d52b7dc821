package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/secret"
)

const canary = "canary-7f3a"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := secret.New(canary)
	type open struct{ Key secret.Text }
	type closed struct{ key secret.Text }
	values := []any{s, &s, open{s}, &open{s}, closed{s}, []secret.Text{s}, map[string]secret.Text{"k": s}}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
				t.Errorf("Sprintf(%q, %T) = %q shows the secret", verb, v, got)
			}
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(canary)) {
			t.Errorf("json.Marshal(%T) = %s shows the secret", v, b)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		if strings.Contains(log.String(), canary) {
			t.Errorf("slog of %T = %s shows the secret", v, log.String())
		}
	}
}

func TestSecretReadsFromJSON(t *testing.T) {
	t.Parallel()
	var got struct {
		Key, None secret.Text
	}
	if err := json.Unmarshal([]byte(`{"Key":"`+canary+`","None":null}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Key.Reveal() != canary || !got.None.IsZero() {
		t.Errorf("got %q and zero=%v, want the canary and true", got.Key.Reveal(), got.None.IsZero())
	}
	err := json.Unmarshal([]byte(`{"Key":{"x":"`+canary+`"}}`), &got)
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("err = %v, want an error without the value", err)
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	if !secret.New("a").Equal(secret.New("a")) || secret.New("a").Equal(secret.New("ab")) || !secret.New("").Equal(secret.Text{}) {
		t.Error("Equal must compare the text")
	}
}
