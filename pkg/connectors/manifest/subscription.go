package manifest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// subscription compiles the requests and programs of the webhook's registration.
func (b *binder) subscription(headers map[string]template.Template, rules []rule) {
	s := b.connector.Subscription
	if s == nil {
		return
	}
	creates := []string{"config", "connection", "webhook"}
	changes := append(slices.Clone(creates), "subscription")
	if b.connector.Webhook == nil {
		b.invalid("subscription", "needs a webhook")
	}
	for i, field := range s.Requires {
		if b.connector.Config != nil && !b.connector.Config.AllowsField(field) {
			b.invalid(join("subscription.requires", strconv.Itoa(i)), "names the config field %q, which does not exist", field)
		}
	}
	if s.Lifetime < 0 {
		b.invalid("subscription.lifetime", "cannot be negative")
	}
	r := &registrar{headers: headers, rules: rules, definition: s}
	r.create = b.request("subscription.create.request", &s.Create.Request, nil, creates...)
	r.id = b.required("subscription.create.id", s.Create.ID)
	r.expiresAt = b.program("subscription.create.expires_at", s.Create.ExpiresAt)
	r.secret = b.program("subscription.create.secret", s.Create.Secret)
	r.values = map[string]*program{}
	for name, source := range s.Create.Values {
		r.values[name] = b.required("subscription.create.values."+name, source)
	}
	if s.Renew != nil {
		r.renew = b.request("subscription.renew.request", &s.Renew.Request, nil, changes...)
		r.renewedUntil = b.program("subscription.renew.expires_at", s.Renew.ExpiresAt)
	}
	if s.Delete != nil {
		r.remove = b.request("subscription.delete.request", &s.Delete.Request, nil, changes...)
	}
	if s.List != nil {
		r.list = b.request("subscription.list.request", &s.List.Request, nil, creates...)
		r.items = b.required("subscription.list.items", s.List.Items)
		r.itemURL = b.required("subscription.list.url", s.List.URL)
		r.itemID = b.required("subscription.list.id", s.List.ID)
	}
	if len(b.problems) == 0 {
		b.connector.Registrar = r
	}
}

// names reports whether a template of the request has the placeholder.
func (r *request) names(placeholder string) bool {
	nodes := []node{r.url, r.query, r.body, r.form}
	for _, t := range r.headers {
		nodes = append(nodes, t)
	}
	return slices.ContainsFunc(nodes, func(n node) bool { return nodeNames(n, placeholder) })
}

func nodeNames(n node, placeholder string) bool {
	switch n := n.(type) {
	case template.Template:
		return slices.ContainsFunc(n.Refs(), func(r template.Ref) bool { return r.String() == placeholder })
	case map[string]node:
		for _, below := range n {
			if nodeNames(below, placeholder) {
				return true
			}
		}
	case []node:
		return slices.ContainsFunc(n, func(below node) bool { return nodeNames(below, placeholder) })
	}
	return false
}

// subscriptionRef checks a placeholder of the roots webhook and subscription.
func (b *binder) subscriptionRef(path string, ref template.Ref) {
	s := b.connector.Subscription
	known := []string{"webhook.url", "webhook.secret", "webhook.id", "subscription.id"}
	if s.Lifetime > 0 {
		known = append(known, "webhook.expires_at", "webhook.expires_at_ms")
	}
	for name := range s.Create.Values {
		known = append(known, "subscription."+name)
	}
	if slices.Contains(known, ref.String()) {
		return
	}
	reason := "which does not exist"
	if strings.HasPrefix(ref.Path, "expires_at") {
		reason = "which needs subscription.lifetime"
	}
	b.invalid(path, "names ${%s}, %s", ref, reason)
}
