// Package nats has the configuration of the NATS servers of a Hawser system.
package nats

import _ "embed"

// ServerConfig is the configuration file of every server. It includes auth.conf, which
// `hawser nats init` makes.
//
//go:embed nats.conf
var ServerConfig []byte
