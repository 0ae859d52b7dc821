package app

import (
	"net/netip"
	"net/url"

	"github.com/hawser-io/hawser/internal/demo"
)

// joinDemo lets a role that joins a system with the demo provider reach it, and
// executors serve the demo connectors too: every program has their code, and the
// catalogue says where the provider is. Only an address on loopback is believed.
// It comes before [node.keepTokens], which needs to know what may be reached.
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

// loopbackOf is the network of the one address that a URL names, if that is on
// loopback.
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
