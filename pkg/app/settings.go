package app

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/events"
)

// shared are the settings of every role. Each flag is also HAWSER_<FLAG>.
type shared struct {
	Prefix        string        `help:"First token of every subject, so that environments can share a NATS system." default:"hawser"`
	Scopes        string        `help:"The kinds of tenants; a question mark behind one makes its identity optional." default:"organization,user,system?"`
	BaseURL       string        `name:"base-url" help:"Public URL of the ingress, as providers reach it. Default: from --http." placeholder:"URL"`
	BasePath      string        `help:"Path of the API below the base URL." default:"/api/v1"`
	Grace         time.Duration `help:"How long work in flight may go on after SIGTERM." default:"20s"`
	LogFormat     string        `help:"json or console." enum:"json,console" default:"json"`
	LogLevel      string        `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
	AllowNetworks []string      `help:"Private networks that providers may lie in, for example 10.0.0.0/8." placeholder:"CIDR"`
	ReturnURLs    []string      `name:"return-urls" help:"URLs below which browsers may be sent after an OAuth flow, besides the base URL's." placeholder:"URL"`
	Concurrency   int           `help:"Handlers of one connector that run at once in an executor." default:"64"`
	Notifications string        `help:"on, or off: whether action.started and webhook.received are published." enum:"on,off" default:"on"`
	WebhookShare  float64       `help:"What one tenant's webhooks may fill of their storage once it is half full, 0 to 1; 0: no limit." default:"0.25"`
	FeedsPerToken int           `help:"Event feeds (GET /events) that one API token reads at once of an ingress." default:"128"`
	Replicas      int           `help:"Copies of every stream and bucket. Default: as they are; of new ones 3 in a cluster, else 1."`
	sizes
}

// remote are the settings of a role that joins a NATS system.
type remote struct {
	NATSURL   string `name:"nats-url" help:"Addresses of the NATS system." default:"nats://127.0.0.1:4222"`
	NATSCreds string `name:"nats-creds" help:"File with the credentials." type:"path" placeholder:"FILE"`
	Keyset    string `help:"File with the keyset, or env:NAME." placeholder:"FILE" required:""`
	HTTP      string `name:"http" help:"Address to listen on." default:"${http}"`
	Demo      bool   `help:"Serve the demo connectors of 'hawser up --demo', and call its provider on loopback."`
}

var basePathForm = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// check refuses invalid settings before anything is created, and removes trailing
// slashes of base URL and base path.
func (s *shared) check() error {
	if _, err := events.NewSubjects(s.Prefix); err != nil {
		return fmt.Errorf("--prefix: not a subject prefix: %w", err)
	}
	if _, err := connection.ParseScopes(s.Scopes); err != nil {
		return err
	}
	if _, err := safehttp.ParseNetworks(s.AllowNetworks); err != nil {
		return err
	}
	if s.BaseURL != "" {
		u, err := url.Parse(s.BaseURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("--base-url %q: the URL by which providers reach the ingress is needed, such as https://hooks.example.com", s.BaseURL)
		}
		s.BaseURL = strings.TrimRight(s.BaseURL, "/")
	}
	path := strings.Trim(s.BasePath, "/")
	if path != "" {
		path = "/" + path
	}
	if !basePathForm.MatchString(path) {
		return fmt.Errorf("--base-path %q: a plain path is needed, such as /api/v1", s.BasePath)
	}
	s.BasePath = path
	return s.checkSizes()
}

func (s shared) logger(p *program) zerolog.Logger {
	level, err := zerolog.ParseLevel(s.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	out := zerolog.SyncWriter(p.stderr)
	if s.LogFormat == "console" {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: true}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}
