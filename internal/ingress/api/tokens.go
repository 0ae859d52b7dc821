package api

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
)

// tokens are the operations on API tokens.
type tokens struct {
	service *connection.Service
	tokens  *records.APITokens
}

// createdToken has the token itself, which is shown once.
type createdToken struct {
	Token string `json:"token"`
	records.APIToken
}

func (t tokens) create(ctx context.Context, p params) (any, error) {
	token := records.APIToken{Name: p.Name, Role: records.Role(p.Role), Scope: p.Scope, Identity: p.Identity, CreatedAt: time.Now().UTC()}
	if token.Role == "" {
		return nil, problem.Invalid("role", "is required: admin, operator or read")
	}
	if token.Scope != "" {
		if err := t.service.CheckTenant(p.tenant()); err != nil {
			return nil, err
		}
	}
	var err error
	if token.ExpiresAt, err = records.ParseExpiry(p.ExpiresIn); err != nil {
		return nil, err
	}
	made, err := t.tokens.Create(ctx, token)
	if err != nil {
		return nil, err
	}
	return createdToken{made.Reveal(), token}, nil
}

// tokenPage is a page of tokens by name.
type tokenPage struct {
	Items      []records.ListedToken `json:"items"`
	NextCursor string                `json:"next_cursor,omitempty"`
}

func (t tokens) list(ctx context.Context, p params) (any, error) {
	limit := defaultPageSize
	if p.Limit != nil {
		limit = *p.Limit
	}
	if limit < 1 || limit > maxPageSize {
		return nil, problem.Invalid("limit", "must be a whole number from 1 to 200")
	}
	all, err := t.tokens.List(ctx)
	if err != nil {
		return nil, err
	}
	start, _ := slices.BinarySearchFunc(all, p.Cursor+"\x00", func(l records.ListedToken, after string) int { return cmp.Compare(l.Name, after) })
	if p.Cursor == "" {
		start = 0
	}
	end := min(start+limit, len(all))
	for end < len(all) && all[end].Name == all[end-1].Name {
		end++ // tokens of older versions may share a name
	}
	page := tokenPage{Items: all[start:end]}
	if end < len(all) {
		page.NextCursor = all[end-1].Name
	}
	return page, nil
}

func (t tokens) revoke(ctx context.Context, p params) (any, error) {
	err := t.tokens.Revoke(ctx, p.Name)
	if errors.Is(err, records.ErrNotFound) {
		return nil, problem.NotFoundError("there is no API token with this name")
	}
	return nil, err
}
