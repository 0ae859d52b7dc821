package connection_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

func TestAWrongKeysetIsRefusedWithAdvice(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		for range 2 {
			must(t, records.CheckKeyset(t.Context(), w.buckets, w.keys))
		}
		err := records.CheckKeyset(t.Context(), w.buckets, newKeyring(t))
		if !errors.Is(err, crypto.ErrWrongKeyset) || !strings.Contains(err.Error(), "keyset.json") {
			t.Errorf("got %v, want a sentence that says what to do", err)
		}
		must(t, records.CheckKeyset(t.Context(), w.buckets, w.keys))
		wantCode(t, records.CheckKeyset(t.Context(), w.buckets, nil), connectors.CodeConnectorEncryptionSecretRequired)
	})
}

func TestTheFirstStartsAtOnceAgreeOnOneKeyset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	mine, theirs := newKeyring(t), newKeyring(t)
	good := 0
	for _, err := range atOnce(8, func(i int) error {
		keys := mine
		if i%2 == 0 {
			keys = theirs
		}
		return records.CheckKeyset(t.Context(), w.buckets, keys)
	}) {
		if err == nil {
			good++
		} else if !errors.Is(err, crypto.ErrWrongKeyset) {
			t.Error(withCause(err))
		}
	}
	if good != 4 {
		t.Errorf("%d starts are right, want the 4 of one keyset", good)
	}
}

// The key of the first start must not be needed for ever.
func TestAfterARotationTheOldKeyIsNotNeededForTheCheck(t *testing.T) {
	t.Parallel()
	buckets := records.Buckets{Keys: memkv.New(nil)}
	text, err := crypto.NewKeyset()
	must(t, err)
	first, err := crypto.ParseKeyset(text)
	must(t, err)
	must(t, records.CheckKeyset(t.Context(), buckets, first))
	rotated, err := first.Rotate()
	must(t, err)
	both, err := crypto.ParseKeyset(rotated)
	must(t, err)
	must(t, records.CheckKeyset(t.Context(), buckets, both))
	alone, err := both.RemoveKey(first.PrimaryID())
	must(t, err)
	second, err := crypto.ParseKeyset(alone)
	must(t, err)
	must(t, records.CheckKeyset(t.Context(), buckets, second))
	if err := records.CheckKeyset(t.Context(), buckets, first); !errors.Is(err, crypto.ErrWrongKeyset) {
		t.Errorf("the old keyset: %v, want it wrong by now", err)
	}
}

func TestADamagedCheckValueStopsTheStart(t *testing.T) {
	t.Parallel()
	buckets := records.Buckets{Keys: memkv.New(nil)}
	keys := newKeyring(t)
	must(t, records.CheckKeyset(t.Context(), buckets, keys))
	for e, err := range buckets.Keys.List(t.Context(), ">") {
		must(t, err)
		must(t, ignored(buckets.Keys.Update(t.Context(), e.Key, []byte("garbage"), e.Revision)))
	}
	if err := records.CheckKeyset(t.Context(), buckets, keys); !errors.Is(err, crypto.ErrWrongKeyset) {
		t.Errorf("got %v", err)
	}
}

func TestScopesAreWhatTheOperatorSays(t *testing.T) {
	t.Parallel()
	scopes, err := connection.ParseScopes(" organization, team-2 ,system?,,")
	must(t, err)
	for tenant, want := range map[events.Tenant]connectors.Code{
		{Scope: "organization", Identity: "x"}:                "",
		{Scope: "team-2", Identity: strings.Repeat("x", 128)}: "",
		{Scope: "system"}:                "",
		{Scope: "system", Identity: "x"}: "",
		{Scope: "organization"}:          connectors.CodeConnectorScopeIdentifierRequired,
		{Scope: "organization", Identity: strings.Repeat("x", 129)}: connectors.CodeConnectorScopeInvalid,
		{Scope: "organization", Identity: "\xc3"}:                   connectors.CodeConnectorScopeInvalid,
		{Scope: "organization", Identity: "."}:                      connectors.CodeConnectorScopeInvalid,
		{Scope: "organization", Identity: ".."}:                     connectors.CodeConnectorScopeInvalid,
		{Scope: "user", Identity: "x"}:                              connectors.CodeConnectorScopeInvalid,
		{Scope: "Organization", Identity: "x"}:                      connectors.CodeConnectorScopeInvalid,
		{Identity: "x"}:                                             connectors.CodeConnectorScopeInvalid,
		connection.DefaultConfigTenant:                              connectors.CodeConnectorScopeInvalid,
	} {
		var got connectors.Code
		if err := scopes.Check(tenant); err != nil {
			got = connectors.AsError(err).Code
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", tenant, got, want)
		}
	}
	for _, list := range []string{"", " , ", "?"} {
		_, err := connection.ParseScopes(list)
		wantCode(t, err, connectors.CodeConnectorBuildScopesRequired)
	}
	for _, list := range []string{"Org", "a b", "1a", "a.b", "org,ü", "a??", "default?", strings.Repeat("a", 65)} {
		if _, err := connection.ParseScopes(list); err == nil {
			t.Errorf("%q is taken", list)
		}
	}
	if _, err := connection.ParseScopes(connection.DefaultScopes + ",default"); err != nil {
		t.Error(err)
	}
}

func TestEveryBucketIsOpenedByItsName(t *testing.T) {
	t.Parallel()
	stores := map[string]kvstore.Store{}
	_, err := records.BucketsFrom(func(name string) (kvstore.Store, error) {
		stores[name] = memkv.New(nil)
		return stores[name], nil
	})
	must(t, err)
	_, err = records.BucketsFrom(nil)
	wantCode(t, err, connectors.CodeConnectorDatabaseRequired)
	_, err = records.BucketsFrom(func(string) (kvstore.Store, error) { return nil, nil })
	wantCode(t, err, connectors.CodeConnectorDatabaseRequired)
	_, err = records.BucketsFrom(func(string) (kvstore.Store, error) { return nil, kvstore.ErrUnavailable })
	if !errors.Is(err, kvstore.ErrUnavailable) || !strings.Contains(err.Error(), "bucket") {
		t.Errorf("got %v", err)
	}
}
