package events

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// HeaderSequence names, on a webhook that waits, where the stream keeps it.
const HeaderSequence = "Hawser-Sequence"

// Attempts is how many attempts a message says were made before.
func Attempts(d *Delivery) int {
	n, err := strconv.Atoi(headerValue(d.Header, HeaderAttempt))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Work about a webhook lies on subjects that end like the webhook's own; those of
// dead letters lack the last token:
//
//	<prefix>.webhook.<scope>.<identity>.<connector>.<type>.<delivery>       the webhook
//	<prefix>.parked.webhook.<hash of its id>                                waiting for the next attempt
//	<prefix>.due.webhook.<scope>.<identity>.<connector>.<type>.<delivery>   its time has come
//	<prefix>.dead.webhook.<scope>.<identity>.<connector>.<type>             given up on

// DueWebhookFilter matches the webhooks of a connector whose time has come again.
func (n Names) DueWebhookFilter(connector string) string {
	return n.prefix + ".due.webhook.*.*." + Token(connector) + ".>"
}

func (n Names) parkedWebhook(id string) string { return n.prefix + ".parked.webhook." + hashOf(id) }

// moved puts a subject of so many tokens below a branch below another one.
func (n Names) moved(subject, from, to string, tokens int) (string, error) {
	rest, ok := strings.CutPrefix(subject, n.prefix+"."+from+".")
	if !ok || strings.Count(rest, ".") != tokens-1 {
		return "", fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	return n.prefix + "." + to + "." + rest, nil
}

// WebhookOf returns the subject of the webhook that a due message is about.
func (n Names) WebhookOf(due string) (string, error) {
	return n.moved(due, "due.webhook", "webhook", 5)
}

func (n Names) dueWebhook(webhook string) (string, error) {
	return n.moved(webhook, "webhook", "due.webhook", 5)
}

func (n Names) isDeadWebhook(subject string) bool {
	return strings.HasPrefix(subject, n.prefix+".dead.webhook.")
}

// ParkWebhook has a stored webhook handed out again at the given time, and
// returns when that is stored. Only the place of the webhook waits, not its
// body, unless it has none in the stream (Sequence 0). id tells webhooks apart:
// parking one again replaces what waits.
func (b *Bus) ParkWebhook(ctx context.Context, webhook *Delivery, id string, attempts int, at time.Time) error {
	due, err := b.dueWebhook(webhook.Subject)
	if err != nil {
		return err
	}
	h, data := Header{HeaderSequence: {strconv.FormatUint(webhook.Sequence, 10)}}, []byte(nil)
	if webhook.Sequence == 0 {
		h, data = ownHeaders(webhook.Header), webhook.Data
	}
	setTrace(ctx, h)
	h[HeaderAttempt] = []string{strconv.Itoa(attempts)}
	maps.Copy(h, schedule(at, due))
	return b.publishStored(ctx, b.parkedWebhook(id), h, data, nil)
}

// DueWebhook finds the webhook that a due message is about: by its place in the
// stream, or in the message itself (Sequence 0) where it was redriven.
// [ErrNotFound] if the stream no longer holds it.
func (b *Bus) DueWebhook(ctx context.Context, due *Delivery) (*Delivery, error) {
	subject, err := b.WebhookOf(due.Subject)
	if err != nil {
		return nil, err
	}
	place := headerValue(due.Header, HeaderSequence)
	if place == "" {
		return &Delivery{Subject: subject, Header: due.Header, Data: due.Data, Attempt: 1, Stored: due.Stored}, nil
	}
	sequence, err := strconv.ParseUint(place, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrSubject, HeaderSequence)
	}
	d, err := b.Message(ctx, Webhooks, sequence)
	if err == nil && d.Subject != subject {
		return nil, ErrNotFound
	}
	return d, err
}

// BuryWebhook stores a webhook that was given up on as a dead letter: the whole
// message, the attempts made, and the code of the error it died of. A body beside
// the message is copied to where it lives as long as the letter, if there is room.
func (b *Bus) BuryWebhook(ctx context.Context, webhook *Delivery, id string, attempts int, reason string) error {
	ref, err := b.ParseWebhook(webhook.Subject)
	if err != nil {
		return err
	}
	dead := b.prefix + ".dead.webhook." + ref.Tokens() + "." + Token(ref.Connector) + "." + ref.Type
	h := ownHeaders(webhook.Header)
	if ref := b.outlive(ctx, webhook); ref != "" {
		h[attributePrefix+ExtDataRef] = []string{percentEncode(ref)}
	}
	h[HeaderAttempt] = []string{strconv.Itoa(attempts)}
	h[HeaderReason] = []string{reason}
	h[HeaderSubject] = []string{webhook.Subject}
	// A redelivery buries once; a webhook that was redriven, and died again, does too.
	msgID := "dead/webhook/" + id + "/" + strconv.FormatUint(webhook.Sequence, 10)
	if webhook.Sequence == 0 {
		msgID = ""
	}
	return b.publishStored(ctx, dead, h, webhook.Data, &PublishOptions{MsgID: msgID})
}

// Redrive hands a dead letter out again: a webhook to its connector's handler, an
// action as a new request with the id given ([RedrivenID]), since the old one has
// its result. It returns when that is stored.
//
// Whoever dies before the letter is removed leaves it to be redriven again. An
// action is then the same request, answered once for as long as results are kept. A
// webhook is dropped by the stream as a repetition for two minutes; after that its
// handler runs once more with the same id, as it may after any crash.
func (b *Bus) Redrive(ctx context.Context, dead *Delivery, newID string) error {
	h := ownHeaders(dead.Header)
	delete(h, HeaderAttempt)
	if b.isDeadWebhook(dead.Subject) {
		due, err := b.dueWebhook(headerValue(dead.Header, HeaderSubject))
		if err != nil {
			return err
		}
		return b.publishStored(ctx, due, h, dead.Data, &PublishOptions{MsgID: "redriven/" + strconv.FormatUint(dead.Sequence, 10) + "/" + IDOf(dead)})
	}
	subject, err := b.DeadActionOf(dead.Subject)
	if err != nil {
		return err
	}
	h[attributePrefix+"id"] = []string{percentEncode(newID)}
	delete(h, attributePrefix+ExtDeadline) // it has passed long ago
	delete(h, HeaderFresh)                 // the new id may have been used, by who redrove this letter before
	return b.publishStored(ctx, subject, h, dead.Data, nil)
}

// RedrivenID is the id of the request that a dead action becomes, the same each
// time that this letter is redriven.
func RedrivenID(about DeadLetter, dead *Delivery) string {
	sequence := strconv.FormatUint(dead.Sequence, 10)
	if id := about.ID + "-redriven-" + sequence; len(id) <= maxRequestID {
		return id
	}
	return DerivedID(about.ID, "redriven/"+sequence)
}

// DeadActionOf returns the subject of the requests that a dead action came from.
func (n Names) DeadActionOf(subject string) (string, error) {
	return n.moved(subject, "dead.action", "action", 4)
}

// ownHeaders copies what is neither an instruction to the server nor ours to
// tell of an earlier life.
func ownHeaders(h Header) Header {
	out := make(Header, len(h))
	for name, values := range h {
		if !strings.HasPrefix(strings.ToLower(name), "nats-") && name != HeaderReason && name != HeaderSubject && name != HeaderSequence {
			out[name] = values
		}
	}
	return out
}

// publishStored publishes and waits for the ack.
func (b *Bus) publishStored(ctx context.Context, subject string, h Header, data []byte, opts *PublishOptions) error {
	p, err := b.PublishRaw(subject, h, data, opts)
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx)
	return err
}

// DeadLetter is what a dead message says of itself. Action is the action's key,
// or the token of a webhook's event type; ID the request's, or the webhook's.
type DeadLetter struct {
	ActionRef
	Kind    string // action or webhook
	Account string
	ID      string
	Reason  string
}

// ParseDead reads a message of the dead letters.
func (n Names) ParseDead(d *Delivery) (DeadLetter, error) {
	dead := DeadLetter{Account: readableAttribute(d.Header, ExtAccount), ID: readableAttribute(d.Header, "id"), Reason: headerValue(d.Header, HeaderReason)}
	if n.isDeadWebhook(d.Subject) {
		dead.Kind = "webhook"
		// As if it had a delivery: the rest of the two subjects is the same.
		ref, err := n.ParseWebhook(n.prefix + strings.TrimPrefix(d.Subject, n.prefix+".dead") + ".x")
		dead.Tenant, dead.Connector, dead.Action = ref.Tenant, ref.Connector, ref.Type
		return dead, err
	}
	subject, err := n.DeadActionOf(d.Subject)
	if err != nil {
		return dead, err
	}
	dead.Kind = "action"
	dead.ActionRef, err = n.ParseAction(subject)
	return dead, err
}
