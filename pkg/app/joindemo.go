package app

import (
	"errors"
	"net/netip"
	"net/url"

	"github.com/hawser-io/hawser/internal/demo"
)

// joinDemo registers the demo connectors and allows the demo provider's address, which is
// in the catalogue of the system that the role joins: every program has the connectors'
// code. Only a URL on loopback is accepted. It is done on request only: whoever can write
// the catalogue could otherwise open loopback in every role.
// It comes before [node.openProviders], which needs the allowed networks.
func (n *node) joinDemo() error {
	def, err := n.definitions.Get(demo.KeyConnector)
	if err != nil {
		return errors.New("--demo: this system has no demo connectors; start 'hawser up --demo' first")
	}
	at, err := url.Parse(def.BaseURL)
	network, ok := loopbackOf(def.BaseURL)
	if err != nil || !ok {
		return errors.New("--demo: the demo provider of this system is not on loopback")
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
