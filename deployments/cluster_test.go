package deployments_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/testenv"
)

// cluster is three NATS servers with the configuration that `hawser nats init` made.
type cluster struct {
	dir     string // the folder of `hawser nats init`
	servers []*server.Server
	urls    string // of all servers
}

// startCluster makes a system and starts its servers as nats.conf says, but for the
// addresses: each has a loopback address of its own.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{dir: filepath.Join(t.TempDir(), "nats")}
	hawser(t, "nats", "init", c.dir)
	config, err := os.ReadFile(filepath.Join(c.dir, "nats.conf"))
	testenv.Must(t, err)
	var hosts, routes, urls []string
	for range 3 {
		host := testenv.Loopback(t)
		hosts, routes, urls = append(hosts, host), append(routes, fmt.Sprintf("%q", "nats://"+host+":6222")), append(urls, "nats://"+host+":4222")
	}
	c.urls = strings.Join(urls, ",")
	store := t.TempDir()
	t.Cleanup(c.stop)
	for i, host := range hosts {
		name := fmt.Sprintf("nats-%d", i+1)
		own := fmt.Sprintf("HAWSER_NATS_NAME: %s\nHAWSER_NATS_STORE: %q\nHAWSER_NATS_ACCOUNTS: %q\nHAWSER_NATS_ROUTES: [%s]\n",
			name, filepath.Join(store, name, "jetstream"), filepath.Join(store, name, "accounts"), strings.Join(routes, ", "))
		own += strings.NewReplacer("0.0.0.0:", host+":", "127.0.0.1:", host+":").Replace(string(config))
		file := filepath.Join(c.dir, name+".conf")
		testenv.Must(t, os.WriteFile(file, []byte(own), 0o600))
		options, err := server.ProcessConfigFile(file)
		testenv.Must(t, err)
		options.NoSigs, options.NoLog = true, true
		s, err := server.NewServer(options)
		testenv.Must(t, err)
		s.Start()
		c.servers = append(c.servers, s)
	}
	testenv.Eventually(t, "the cluster has a leader with three servers", func() bool {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == len(c.servers)
			}
		}
		return false
	})
	return c
}

func (c *cluster) stop() {
	for _, s := range c.servers {
		s.Shutdown()
	}
	for _, s := range c.servers {
		s.WaitForShutdown()
	}
}

// creds is a file that `hawser nats init` made.
func (c *cluster) creds(name string) string { return filepath.Join(c.dir, name+".creds") }

// connect connects with the credentials in a file. Refusals are sent into refused, if it is
// not nil.
func (c *cluster) connect(t *testing.T, creds string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(c.urls, append([]nats.Option{nats.UserCredentials(creds), nats.Timeout(testenv.MaxWait)}, opts...)...)
	testenv.Must(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// system is a cluster with all roles and the demo provider.
type system struct {
	*cluster
	ingress, provider, token string
	roles                    map[string]*process
}

// tokenTTL is the lifetime of the demo provider's access tokens.
const tokenTTL = 20 * time.Second

// startSystem starts each role with its own credentials, the ingress first.
func startSystem(t *testing.T) *system {
	t.Helper()
	s := &system{cluster: startCluster(t), roles: map[string]*process{}}
	s.ingress = "http://" + net.JoinHostPort(testenv.Loopback(t), "8080")
	provider, err := demo.Start(t.Context(), demo.Options{
		Addr: net.JoinHostPort(testenv.Loopback(t), "0"), DataDir: t.TempDir(), BaseURLs: []string{s.ingress}, TokenTTL: tokenTTL, Log: zerolog.Nop(),
	})
	testenv.Must(t, err)
	t.Cleanup(func() { _ = provider.Close(testenv.Bounded(t)) })
	s.provider = provider.URL()
	keyset := filepath.Join(s.dir, "keyset.json")
	hawser(t, "keys", "create", keyset)
	for _, role := range []string{"ingress", "executor", "refresher"} {
		address := net.JoinHostPort(testenv.Loopback(t), "0")
		if role == "ingress" {
			address = strings.TrimPrefix(s.ingress, "http://")
		}
		cmd := program(role, "--http", address, "--nats-url", s.urls, "--nats-creds", s.creds(role), "--keyset", keyset,
			"--base-url", s.ingress, "--allow-networks", "127.0.0.0/8")
		cmd.Env = append(cmd.Env, providerVariable+"="+s.provider)
		s.roles[role] = start(t, cmd)
	}
	s.token = strings.TrimSpace(hawser(t, "token", "create", "test", "--nats-url", s.urls, "--nats-creds", s.creds("admin")))
	// The commands read the token from a data folder.
	testenv.Must(t, os.WriteFile(filepath.Join(s.dir, "admin.token"), []byte(s.token), 0o600))
	secret := filepath.Join(s.dir, "client-secret")
	testenv.Must(t, os.WriteFile(secret, []byte(demo.ClientSecret), 0o600))
	hawser(t, "app", "set", "demo-oauth", "--client-id", demo.ClientID, "--client-secret-file", secret,
		"--url", s.ingress, "--data", s.dir)
	return s
}
