package records

import (
	"fmt"
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Buckets, without the installation's prefix.
const (
	bucketConnections = "connections"
	bucketWebhooks    = "webhooks"
	bucketStatus      = "status"
	bucketConnectors  = "connectors"
	bucketClaims      = "claims"
	bucketKeys        = "keys"
	bucketRoutes      = "routes"
	bucketGrants      = "grants"
	bucketFlows       = "flows"
	bucketLeases      = "leases"
	bucketApps        = "apps"
	bucketSessions    = "sessions"
	bucketMarks       = "marks"
	bucketSubscribed  = "subscriptions"

	// BucketSettings has what is equal in all roles.
	BucketSettings = "settings"
	// BucketAPITokens is the only one that a command about API tokens opens.
	BucketAPITokens = "tokens"
)

// Buckets are the stores of all record types.
type Buckets struct {
	Connections kvstore.Store // <scope>.<identity>.<connector>.<account> → connection
	Webhooks    kvstore.Store // SHA-256 of a webhook URL's secret → key of the connection
	Status      kvstore.Store // key of the connection → health
	Connectors  kvstore.Store // connector → definition
	Claims      kvstore.Store // action request → executor that calls the provider for it
	Keys        kvstore.Store // check value of the keyset, signing key
	APITokens   kvstore.Store // SHA-256 of an API token → its name
	Routes      kvstore.Store // provider account → keys of the connections
	Grants      kvstore.Store // see GrantKey → tokens and their state
	Flows       kvstore.Store // hash of an OAuth state → pending authorisation
	Leases      kvstore.Store // name of a task → process that runs it
	Apps        kvstore.Store // connector or family → the operator's OAuth client
	Sessions    kvstore.Store // hash of a link's token → connect session
	Marks       kvstore.Store // how far the streams were
	Settings    kvstore.Store // what is equal in all roles
	Subscribed  kvstore.Store // key of the connection → registrations of its webhook at the provider
}

// byName returns the field of every bucket.
func (b *Buckets) byName() map[string]*kvstore.Store {
	return map[string]*kvstore.Store{
		bucketConnections: &b.Connections, bucketWebhooks: &b.Webhooks, bucketStatus: &b.Status,
		bucketConnectors: &b.Connectors, bucketClaims: &b.Claims, bucketKeys: &b.Keys,
		BucketAPITokens: &b.APITokens, bucketGrants: &b.Grants, bucketFlows: &b.Flows,
		bucketLeases: &b.Leases, bucketApps: &b.Apps, bucketSessions: &b.Sessions, bucketMarks: &b.Marks,
		bucketRoutes: &b.Routes, BucketSettings: &b.Settings, bucketSubscribed: &b.Subscribed,
	}
}

// BucketTTL returns how long a value that is not written again stays in a bucket; 0 is forever.
func BucketTTL(name string) time.Duration {
	switch name {
	case bucketFlows:
		return flowRetention
	case bucketSessions:
		return sessionRetention
	}
	return 0
}

// BucketsFrom opens buckets by their names without the installation's prefix: all, or only
// those named. It returns CONNECTOR_DATABASE_REQUIRED if open is nil or returns nil.
func BucketsFrom(open func(name string) (kvstore.Store, error), only ...string) (Buckets, error) {
	var b Buckets
	if open == nil {
		return b, connectors.Errorf(connectors.CodeConnectorDatabaseRequired, "no store is configured")
	}
	for name, bucket := range b.byName() {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		store, err := open(name)
		if err != nil {
			return b, fmt.Errorf("bucket %s: %w", name, err)
		}
		if store == nil {
			return b, connectors.Errorf(connectors.CodeConnectorDatabaseRequired, "no store is configured for bucket %s", name)
		}
		*bucket = store
	}
	return b, nil
}
