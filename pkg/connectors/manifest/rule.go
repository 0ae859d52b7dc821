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

// check returns the failure that the rule recognises in an answer; nil if it does not.
// failure is the answer as one by its status.
func (r rule) check(ctx context.Context, reply map[string]any, failure *connectors.ProviderError) error {
	applies, err := r.when.run(ctx, reply)
	if err != nil || applies != true {
		return nil // a program that expects another shape of answer is not about this one
	}
	if r.message != nil {
		if text, err := r.message.run(ctx, reply); err == nil {
			failure.Message = connectors.ShortMessage(template.TextOf(text))
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

// marked says whether to try again. An answer with status 2xx is final unless the rule says
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
