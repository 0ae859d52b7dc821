package kvstore_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

// Two writers change one record. Each says what it makes of the record; who
// was faster does not matter, and no change is lost.
func ExampleModify() {
	type connection struct {
		State string
		Tags  []string
	}
	ctx := context.Background()
	store := memkv.New(nil)
	change := func(do func(c *connection)) {
		_, err := kvstore.Modify(ctx, store, "acme.user-7.jira.site-1", func(old []byte) ([]byte, error) {
			c := connection{State: "pending"} // what an absent one is
			if old != nil {
				if err := json.Unmarshal(old, &c); err != nil {
					return nil, err
				}
			}
			do(&c)
			return json.Marshal(c)
		})
		if err != nil {
			fmt.Println(err)
		}
	}

	change(func(c *connection) { c.State = "active" })
	change(func(c *connection) { c.Tags = append(c.Tags, "beta") })

	e, err := store.Get(ctx, "acme.user-7.jira.site-1")
	fmt.Println(string(e.Value), "at revision", e.Revision, err)
	// Output: {"State":"active","Tags":["beta"]} at revision 2 <nil>
}

// The keys of one tenant, and nobody else's.
func ExampleStore_list() {
	ctx := context.Background()
	var store kvstore.Store = memkv.New(nil)
	for _, key := range []string{"acme.user-7.jira", "acme.user-8.github", "acme-labs.user-1.jira"} {
		if _, err := store.Create(ctx, key, nil, 0); err != nil {
			fmt.Println(err)
		}
	}
	for e, err := range store.List(ctx, "acme.>") {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(e.Key)
	}
	// Output:
	// acme.user-7.jira
	// acme.user-8.github
}
