package natskv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// defaultMarkerTTL is how long a deletion stays visible in the bucket.
const defaultMarkerTTL = time.Minute

// headerRoom is what a stored message may need above its value: the server's
// size limit counts our headers and the client's.
const headerRoom = 1024

// Bucket is the configuration of a bucket. Open creates or updates it. What is zero
// stays as it is in an existing bucket; in a new one it means what stands here.
type Bucket struct {
	// Name is required: letters, digits, '-' and '_'. The stream is KV_<Name>.
	Name        string
	Description string
	// TTL removes every key that was not written for so long. 0 = never.
	TTL time.Duration
	// MaxValueSize bounds values, in bytes. 0 = what the server takes in one
	// message (1 MiB unless it is configured otherwise).
	MaxValueSize int
	// Replicas in a cluster. 0 = 3 in a cluster, 1 on a single server.
	Replicas int
	// Storage is file by default. It cannot be changed later.
	Storage jetstream.StorageType
	// MarkerTTL is how long the mark of a deletion or an expiry stays before it
	// removes itself, in whole seconds. A watcher that was away for longer
	// relies on its reset. 0 = 1 minute. All users of a bucket have to agree.
	MarkerTTL time.Duration
}

var bucketName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// ensure creates the bucket's stream, or updates it where it differs from b,
// and returns it. It may run in many processes at once.
func (b Bucket) ensure(ctx context.Context, js jetstream.JetStream, onChange func(string)) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, b.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, b.config(js.Conn().ConnectedClusterName() != ""))
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return stream, err
		}
		// Another process has created it, perhaps with other settings.
		stream, err = js.Stream(ctx, b.stream())
	}
	if err != nil {
		return nil, err
	}
	have := stream.CachedInfo().Config
	if have.Storage != b.Storage {
		return nil, fmt.Errorf("it is kept in %v storage, not in %v, which cannot be changed: delete it or open it so",
			have.Storage, b.Storage)
	}
	want := b.overlay(have)
	changes := differences(have, want)
	if len(changes) == 0 {
		return stream, nil
	}
	if onChange != nil {
		onChange(fmt.Sprintf("bucket %s: %s", b.Name, strings.Join(changes, ", ")))
	}
	return js.UpdateStream(ctx, want)
}

// differences names the settings that differ: "max_age was 0s, is 1h0m0s".
func differences(have, want jetstream.StreamConfig) (all []string) {
	was, is := reflect.ValueOf(have), reflect.ValueOf(want)
	for i := range was.NumField() {
		if reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			continue
		}
		name, _, _ := strings.Cut(was.Type().Field(i).Tag.Get("json"), ",")
		all = append(all, fmt.Sprintf("%s was %v, is %v", name, was.Field(i), is.Field(i)))
	}
	return all
}

// clusterReplicas are the copies of a new bucket in a cluster.
const clusterReplicas = 3

// config is the stream of a new bucket, as every NATS client expects it.
func (b Bucket) config(clustered bool) jetstream.StreamConfig {
	replicas := 1
	if clustered {
		replicas = clusterReplicas
	}
	return b.overlay(jetstream.StreamConfig{
		Name:         b.stream(),
		Subjects:     []string{b.prefix() + ">"},
		Storage:      b.Storage,
		Replicas:     replicas,
		Discard:      jetstream.DiscardNew,
		MaxMsgs:      -1,
		MaxBytes:     -1,
		MaxConsumers: -1,
		MaxMsgSize:   -1,
		Duplicates:   2 * time.Minute,
		DenyDelete:   true,
	})
}

// overlay returns cfg with the settings of b. The others, such as placement and
// compression, are the operator's.
func (b Bucket) overlay(cfg jetstream.StreamConfig) jetstream.StreamConfig {
	cfg.Description = cmp.Or(b.Description, cfg.Description)
	cfg.MaxMsgsPerSubject = 1 // no old ciphertext, and a message is a key: Count relies on it
	cfg.MaxAge = cmp.Or(b.TTL, cfg.MaxAge)
	if b.MaxValueSize > 0 {
		cfg.MaxMsgSize = int32(b.MaxValueSize + headerRoom)
	}
	if b.Replicas > 0 {
		cfg.Replicas = b.Replicas
	}
	if b.TTL > 0 {
		cfg.Duplicates = min(cfg.Duplicates, b.TTL) // the server refuses a longer window
	}
	cfg.AllowDirect = true
	cfg.AllowRollup = true
	cfg.AllowMsgTTL = true
	cfg.SubjectDeleteMarkerTTL = b.markerTTL()
	return cfg
}

// check returns errors that say more than the server's.
func (b Bucket) check() error {
	switch {
	case !bucketName.MatchString(b.Name):
		return fmt.Errorf("bad bucket name %q: want letters, digits, - and _", b.Name)
	case b.MaxValueSize < 0 || b.MaxValueSize > 64<<20:
		return fmt.Errorf("bucket %s: MaxValueSize %d is not within 0 and 64 MiB", b.Name, b.MaxValueSize)
	case b.TTL < 0 || b.TTL > 0 && b.TTL < time.Second:
		return fmt.Errorf("bucket %s: TTL %v is below 1s", b.Name, b.TTL)
	}
	if err := kvstore.CheckTTL(b.MarkerTTL); err != nil {
		return fmt.Errorf("bucket %s: markers: %w", b.Name, err)
	}
	return nil
}

func (b Bucket) stream() string { return "KV_" + b.Name }
func (b Bucket) prefix() string { return "$KV." + b.Name + "." }

func (b Bucket) markerTTL() time.Duration { return cmp.Or(b.MarkerTTL, defaultMarkerTTL) }
