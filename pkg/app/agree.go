package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/hawser-io/hawser/internal/records"
)

// flagSet are the flags that were set by the command line or the environment.
type flagSet map[string]bool

func setFlags(parsed *kong.Context) flagSet {
	flags := flagSet{}
	for _, step := range parsed.Path {
		if step.Flag != nil {
			flags[step.Flag.Name] = true
		}
	}
	for _, flag := range parsed.Flags() {
		for _, name := range flag.Envs {
			if _, set := os.LookupEnv(name); set {
				flags[flag.Name] = true
			}
		}
	}
	return flags
}

// agree makes the settings that have to be equal in all roles those of the installation. A
// role that serves the API writes its settings; every other role takes what is there, and
// refuses to start if its flags say otherwise.
func (n *node) agree(ctx context.Context) error {
	own := records.Settings{
		Prefix: n.settings.Prefix, Scopes: n.settings.Scopes, BaseURL: n.baseURL, BasePath: n.settings.BasePath, ReturnURLs: n.settings.ReturnURLs,
		Assumed: n.settings.BaseURL == "",
	}
	stored, err := records.ReadSettings(ctx, n.buckets)
	switch {
	case errors.Is(err, records.ErrNotFound) && n.servesAPI:
		return records.WriteSettings(ctx, n.buckets, own)
	case errors.Is(err, records.ErrNotFound):
		n.log.Warn().Msg("no ingress has started yet: its base URL and scopes are not known here until the next start")
		return nil
	case err != nil:
		return err
	}
	var refused []string
	for _, d := range own.Differences(stored) {
		if n.flags != nil && !n.flags[d.Setting] {
			n.take(&own, d.Setting, stored)
			continue
		}
		if n.servesAPI {
			n.log.Warn().Str("setting", d.Setting).Str("was", d.Other).Str("is", d.Own).Msg("a setting of the installation changes: start the other roles again")
			continue
		}
		refused = append(refused, fmt.Sprintf("--%s is %s here and %s there", d.Setting, d.Own, d.Other))
	}
	if len(refused) > 0 {
		return fmt.Errorf("the settings differ from those of the installation, which its ingress has stored in %s: %s; leave them out, or start the ingress with them first",
			n.queue.Bus.Subjects.Bucket(records.BucketSettings), strings.Join(refused, "; "))
	}
	n.settings.Scopes, n.settings.BasePath, n.settings.ReturnURLs, n.baseURL = own.Scopes, own.BasePath, own.ReturnURLs, own.BaseURL
	if n.servesAPI && (own.Differences(stored) != nil || own.Assumed != stored.Assumed) {
		return records.WriteSettings(ctx, n.buckets, own)
	}
	return nil
}

// take takes a setting that no flag sets. A base URL that an ingress assumed is of
// no use to another one.
func (n *node) take(own *records.Settings, setting string, stored records.Settings) {
	switch setting {
	case "scopes":
		own.Scopes = stored.Scopes
	case "base-path":
		own.BasePath = stored.BasePath
	case "return-urls":
		own.ReturnURLs = stored.ReturnURLs
	case "base-url":
		if !stored.Assumed || !n.servesAPI {
			own.BaseURL, own.Assumed = stored.BaseURL, stored.Assumed
		}
	}
}

// reconnectURL returns a link by which a user authorises a connection again. It leads to the
// ingress, whose base URL may have changed since this role started.
func (n *node) reconnectURL(c *records.Connection) string {
	links := *n.links
	if !n.servesAPI {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if stored, err := records.ReadSettings(ctx, n.buckets); err == nil {
			links.BaseURL = stored.BaseURL + stored.BasePath
		}
	}
	return links.ReconnectURL(c)
}
