package client_test

import "testing"

// One running system serves all these stories, each with tenants of its own.
func TestWithARunningHawser(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	for story, test := range map[string]func(*testing.T, *system){
		"actions run and fail with typed errors":                         actionsRunAndFailWithTypedErrors,
		"requests carry their options":                                   requestsCarryTheirOptions,
		"a repeated request has one result":                              aRepeatedRequestHasOneResult,
		"a call that is given up goes on and is found by its id":         aCallThatIsGivenUpGoesOn,
		"connections live their whole life":                              connectionsLiveTheirWholeLife,
		"lists are of one tenant and its accounts":                       listsAreOfOneTenant,
		"refusals of control operations are typed":                       refusalsAreTyped,
		"the catalogue says what there is":                               theCatalogueSaysWhatThereIs,
		"events, results and webhooks of a tenant are heard":             whatATenantHears,
		"a tenant's credentials are enough for its own work":             aTenantsCredentialsAreEnough,
		"secrets in values are sent in the clear, all else as JSON does": secretsAreSentInTheClear,
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}
