package embedded

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	defaultListen  = "127.0.0.1:4222"
	listenOff      = "off"
	defaultPrefix  = "hawser"
	syncAlways     = "always"
	defaultPayload = 1 << 20
	maxPayload     = 8 << 20 // the server advises against more

	// handshakeTimeout exceeds the default of two seconds, which a busy machine
	// can miss. It is used by server and client.
	handshakeTimeout = 10 * time.Second
	// foreignAccountTimeout bounds the lookup of an unknown account at other
	// servers; there are none.
	foreignAccountTimeout = 10 * time.Millisecond
)

// settings are the options, checked and with their defaults.
type settings struct {
	listener
	always     bool          // sync every write
	interval   time.Duration // between syncs, if not always
	prefix     string
	maxStore   int64
	maxPayload int32
}

func (o Options) settings() (settings, error) {
	set := settings{maxStore: o.MaxStore, maxPayload: o.MaxPayload, prefix: o.Prefix}
	if o.DataDir == "" {
		return set, errors.New("the embedded NATS server needs a data folder: set DataDir")
	}
	var err error
	if set.listener, err = parseListen(o.Listen); err != nil {
		return set, err
	}
	if set.always, set.interval, err = parseSync(o.Sync); err != nil {
		return set, err
	}
	if set.prefix == "" {
		set.prefix = defaultPrefix
	}
	if err := checkPrefix(set.prefix); err != nil {
		return set, err
	}
	if set.maxPayload == 0 {
		set.maxPayload = defaultPayload
	}
	if set.maxPayload < 0 || set.maxPayload > maxPayload {
		return set, fmt.Errorf("max_payload of %d bytes: give 1 to %d", o.MaxPayload, maxPayload)
	}
	if set.maxStore < 0 {
		return set, fmt.Errorf("NATS store limit of %d bytes: give a positive number, or 0 for three quarters of the free disk", o.MaxStore)
	}
	return set, nil
}

// listener is the TCP address for clients, if there is one.
type listener struct {
	listen bool
	host   string
	port   int
}

func parseListen(s string) (listener, error) {
	switch s {
	case listenOff:
		return listener{}, nil
	case "":
		s = defaultListen
	}
	host, text, err := net.SplitHostPort(s)
	port := 0
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return listener{}, fmt.Errorf("NATS address %q: give host:port, such as %s, or %s", s, defaultListen, listenOff)
	}
	return listener{true, host, port}, nil
}

func parseSync(s string) (always bool, interval time.Duration, err error) {
	if s == "" || s == syncAlways {
		return true, 0, nil
	}
	interval, err = time.ParseDuration(s)
	if err != nil || interval <= 0 {
		return false, 0, fmt.Errorf("sync setting %q: give %q, or a time between syncs such as \"100ms\"", s, syncAlways)
	}
	return false, interval, nil
}

// prefixForm also fits the names of streams and buckets.
var prefixForm = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

func checkPrefix(prefix string) error {
	if !prefixForm.MatchString(prefix) {
		return fmt.Errorf("subject prefix %q: give a single token of at most 32 lower-case letters, digits, _ and -, such as %q", prefix, defaultPrefix)
	}
	return nil
}

func (set settings) serverOptions(dir folder, ring *keys) (*server.Options, error) {
	operator, err := ring.operatorClaims()
	if err != nil {
		return nil, err
	}
	resolver, err := server.NewDirAccResolver(dir.accountsPath(), 0, 0, server.NoDelete,
		server.FetchTimeout(foreignAccountTimeout))
	if err != nil {
		return nil, fmt.Errorf("open the folder of accounts: %w", err)
	}
	so := &server.Options{
		ServerName:        "hawser",
		DontListen:        !set.listen,
		Host:              set.host,
		Port:              set.port,
		MaxPayload:        set.maxPayload,
		AuthTimeout:       handshakeTimeout.Seconds(),
		NoSigs:            true,
		JetStream:         true,
		StoreDir:          string(dir),
		JetStreamMaxStore: set.maxStore,
		SyncAlways:        set.always,
		SyncInterval:      set.interval,
		TrustedOperators:  []*jwt.OperatorClaims{operator},
		SystemAccount:     ring.system.public,
		AccountResolver:   resolver,
	}
	if set.listen && set.port == 0 {
		so.Port = server.RANDOM_PORT
	}
	return so, nil
}
