package manifest

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// rule is a compiled [connectors.ErrorRule].
type rule struct {
	when    *program
	code    connectors.Code
	message *program
	after   *program
	retry   *bool
}

// applies reports whether the rule recognises an answer as a failure. A program that expects
// another shape of answer does not.
func (r rule) applies(ctx context.Context, reply map[string]any) bool {
	applies, err := r.when.run(ctx, reply)
	return err == nil && applies == true
}

// failure returns the error of an answer that the rule recognises. failure is that of its
// status.
func (r rule) failure(ctx context.Context, reply map[string]any, failure *connectors.ProviderError) error {
	if r.message != nil {
		if value, err := r.message.run(ctx, reply); err == nil && template.TextOf(value) != "" {
			failure.Message = connectors.ShortMessage(template.TextOf(value))
		}
	}
	if r.after != nil {
		if value, err := r.after.run(ctx, reply); err == nil {
			if seconds, err := time.ParseDuration(template.TextOf(value) + "s"); err == nil && seconds > 0 {
				failure.RetryAfter = min(seconds, 24*time.Hour)
			}
		}
	}
	failure.RateLimited = failure.RateLimited || r.code == connectors.CodeConnectorRateLimited
	var result error = failure
	if r.code != "" && r.code != connectors.CodeConnectorActionFailed && !failure.RateLimited {
		coded := connectors.Errorf(r.code, "%s", failure.Error())
		coded.ProviderStatus, coded.RetryAfter, coded.Cause = failure.Status, failure.RetryAfter, failure
		result = coded
	}
	return r.marked(result, failure)
}

// marked marks the error as one to try again, or not. An answer with status 2xx is final unless the rule says
// otherwise.
func (r rule) marked(err error, failure *connectors.ProviderError) error {
	switch {
	case r.retry == nil && failure.Status < 300 && !failure.RateLimited, r.retry != nil && !*r.retry:
		return connectors.Permanent(err)
	case r.retry != nil && *r.retry:
		return connectors.RetryAfter(max(failure.RetryAfter, time.Second), err)
	}
	return err
}
