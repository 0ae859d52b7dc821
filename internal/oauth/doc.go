// Package oauth holds no code but the tests of its three packages together:
//
//	flow      connects: a user's browser to the provider and back; client credentials
//	token     keeps tokens fresh: renewal, revocation, and the events of both
//	endpoint  makes one call of an authorization server
//
// Each imports only those below it.
package oauth
