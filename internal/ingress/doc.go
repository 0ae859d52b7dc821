// Package ingress is the role that faces the outside: HTTP for providers, operators
// and end users, and the control service on NATS.
//
//	ingress.go  what an ingress is made of, and its life
//	server.go   the HTTP server: routes, limits, timeouts
//	observe.go  request ids, traces, log lines, metrics
//
// Its parts are in packages of their own: receive has webhooks, api the management
// API, problem what their handlers share; connectpage and console have the pages.
package ingress
