package app

import (
	"net/netip"
	"net/url"

	"github.com/hawser-io/hawser/internal/demo"
)

// joinDemo registers the demo connectors and allows the demo provider's address, if the
// system that a role joins has one: every program has the connectors' code, and the
// catalogue has the provider's URL. Only a URL on loopback is accepted.
// It comes before [node.openProviders], which needs the allowed networks.
func (n *node) joinDemo() error {
	def, err := n.definitions.Get(demo.KeyConnector)
	if err != nil {
		return nil // this system has no demo
	}
	at, err := url.Parse(def.BaseURL)
	if err != nil {
		return nil
	}
	network, ok := loopbackOf(def.BaseURL)
	if !ok {
		return nil
	}
	for _, c := range demo.Connectors(at.Scheme + "://" + at.Host) {
		if _, known := n.registry.Get(c.Key); known {
			continue
		}
		if err := n.registry.Register(c); err != nil {
			return err
		}
	}
	n.settings.AllowNetworks = append(n.settings.AllowNetworks, network)
	return nil
}

// loopbackOf returns the network of the one address that a URL names. ok is false if it
// is not on loopback.
func loopbackOf(rawURL string) (network string, ok bool) {
	at, err := url.Parse(rawURL)
	if err != nil {
		return "", false
	}
	host, err := netip.ParseAddr(at.Hostname())
	if err != nil || !host.IsLoopback() {
		return "", false
	}
	return netip.PrefixFrom(host, host.BitLen()).String(), true
}
