// Package oauth connects by OAuth 2.0 and keeps tokens alive: [Flow] takes a
// user's browser to the provider and back, [Tokens] is the one way to a fresh
// token, for executors and refreshers alike.
//
//	tokens.go      Tokens: Fresh, Renew, Ahead; one flight per grant and process
//	renew.go       one refresh under a lease: intent, call
//	outcome.go     what a call has brought: tokens stored, or a failure
//	aftermath.go   what follows a refresh: events, the next timer, a grant's end
//	schedule.go    when a token is to be renewed
//	repair.go      the provider's way back from a lost rotation
//	endpoint.go    calls of the token endpoint, by x/oauth2
//	clientauth.go  how the client says who it is there
//	certificate.go the client's certificate, at the token endpoint and in calls
//	clientkey.go   private keys in the place of client secrets
//	mint.go        tokens without a user
//	reply.go       what token endpoints answer, in all their dialects
//	xml.go         requests and answers in XML
//	expiry.go      how replies say when a token ends
//	profile.go     who-am-I and the sites of an account
//	transport.go   an HTTP transport that carries the token and heals a 401
//	state.go       signed states and reconnect links
//	flow.go        Flow: start, and the browser's way to the provider
//	callback.go    the browser's way back: checks, each with its reason
//	told.go        what the redirect says besides
//	complete.go    exchange, who-am-I, site choice, grant and connection stored
//	exchange.go    tokens that are had for other tokens
//	companion.go   further tokens of the same authorisation
//	client.go      connections by client credentials
//	leave.go       disconnect: the last one takes the grant along
//	revoke.go      a grant that nobody uses is revoked, now or later
//	abandon.go     tokens that came to nobody are given back
//	session.go     connect sessions: a link for an end user
//
// One refresh, across all processes:
//
//	fresh? ─▶ in-process flight ─▶ lease (server TTL) ─▶ leader read, fresh? ─▶
//	intent stored (generation+1) ─▶ token endpoint ─▶ stored by revision ─▶ used
package oauth
