// Package roletest gives the test kit's old names until its users have moved.
package roletest

import "github.com/hawser-io/hawser/internal/testenv"

type (
	Options = testenv.NodeOptions
	Node    = testenv.Node
	Role    = testenv.Role
	Front   = testenv.Front
	Heard   = testenv.Received
	Outcome = testenv.Outcome
	Config  = testenv.Config
	Handler = testenv.Handler
)

var (
	Start     = testenv.StartNode
	Probe     = testenv.Probe
	Sign      = testenv.Sign
	Org       = testenv.Org
	Ref       = testenv.Ref
	Returns   = testenv.Returns
	HMAC      = testenv.HMAC
	OutcomeOf = testenv.OutcomeOf
)

const Patience = testenv.MaxWait
