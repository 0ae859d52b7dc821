package connection_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hawser-io/hawser/internal/records"
)

func TestSecretsAreSplitWherePeoplePutThemApart(t *testing.T) {
	t.Parallel()
	const one, two = "-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----\nMAs=\n-----END CERTIFICATE-----"
	for text, want := range map[string][]string{
		"":                                   nil,
		" new\n old \n":                      {"new", "old"},
		`{"kty":"EC","d":"x"} old`:           {`{"kty":"EC","d":"x"}`, "old"},
		one + "\n":                           {one},
		two + "\n" + one + "\n\n\n" + one:    {two + "\n" + one, one},
		"\r\n" + two + "\r\n\r\n" + one + "": {two + "\n" + one},
		one + "\n\n" + one:                   {one, one},
		one + "\n\n" + two + "\n\n" + two + "\n\n" + one + "\n\n" + two:  {one + "\n" + two + "\n" + two, one + "\n" + two},
		two + "\n\n" + two + "\n\n" + one + "\n\n" + two + "\n\n" + one:  {two + "\n" + two + "\n" + one, two + "\n" + one},
		two + "\n\n" + one + "\n\nold":                                   {two + "\n" + one, "old"},
		"new\n\n" + two + "\n" + one:                                     {"new", two + "\n" + one},
		"new\n\n" + two:                                                  {"new", two},
		`-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n`: {one},
	} {
		if diff := cmp.Diff(want, records.SplitSecrets(text), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
