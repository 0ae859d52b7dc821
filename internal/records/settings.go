package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Settings are what has to be equal in all roles of an installation. An ingress writes them
// at its start; the other roles read them.
type Settings struct {
	Prefix   string `json:"prefix"`
	Scopes   string `json:"scopes"`
	BaseURL  string `json:"base_url"`
	BasePath string `json:"base_path"`
	// Assumed says that BaseURL is the address that the ingress listens on: nobody has set
	// one.
	Assumed    bool      `json:"assumed,omitempty"`
	ReturnURLs []string  `json:"return_urls,omitempty"`
	UpdatedAt  time.Time `json:"updated_at"`
}

const settingsKey = "installation"

// ReadSettings reads the settings from the leader. [ErrNotFound] if no ingress has written
// any.
func ReadSettings(ctx context.Context, buckets Buckets) (Settings, error) {
	e, err := latest(ctx, buckets.Settings, settingsKey)
	if errors.Is(err, kvstore.ErrNotFound) {
		return Settings{}, err
	}
	if err != nil {
		return Settings{}, DatabaseError("read the settings", err)
	}
	var s Settings
	if err := json.Unmarshal(e.Value, &s); err != nil {
		return Settings{}, DatabaseError("read the settings", fmt.Errorf("the record %s is malformed", settingsKey))
	}
	return s, nil
}

// WriteSettings stores the settings.
func WriteSettings(ctx context.Context, buckets Buckets, s Settings) error {
	s.UpdatedAt = time.Now().UTC()
	doc, err := json.Marshal(s)
	if err != nil {
		return DatabaseError("store the settings", err)
	}
	if _, err := kvstore.Modify(ctx, buckets.Settings, settingsKey, func([]byte) ([]byte, error) { return doc, nil }); err != nil {
		return DatabaseError("store the settings", err)
	}
	return nil
}

// Difference is a setting with its two values.
type Difference struct{ Setting, Own, Other string }

// Differences lists the settings in which s differs from other, by their flags.
func (s Settings) Differences(other Settings) (all []Difference) {
	for _, d := range []Difference{
		{"prefix", s.Prefix, other.Prefix}, {"scopes", s.Scopes, other.Scopes}, {"base-url", s.BaseURL, other.BaseURL}, {"base-path", s.BasePath, other.BasePath},
	} {
		if d.Own != d.Other {
			all = append(all, d)
		}
	}
	if own, others := sorted(s.ReturnURLs), sorted(other.ReturnURLs); !slices.Equal(own, others) {
		all = append(all, Difference{"return-urls", fmt.Sprint(own), fmt.Sprint(others)})
	}
	return all
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }
