package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/jwt/v2"

	"github.com/hawser-io/hawser/pkg/secret"
)

// Request is a request to all servers of a system that [InitSystem] made, on a connection
// with [SystemCreds].
type Request struct {
	Subject string
	Data    []byte
}

// SystemCreds is the file with the credentials that may add and remove accounts.
func SystemCreds(dir string) string { return filepath.Join(dir, systemFile) }

// AddAccount returns the request by which servers learn of the account of credentials that
// [TenantCreds] has issued in dir.
func AddAccount(dir string, creds secret.Text) (Request, error) {
	token, err := jwt.ParseDecoratedJWT([]byte(creds.Reveal()))
	if err != nil {
		return Request{}, errors.New("these are no NATS credentials")
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return Request{}, errors.New("these are no NATS credentials")
	}
	return addAccount(folder(dir).accountPath(claims.Issuer))
}

// AddAccounts returns the requests for all accounts of the folder. Servers ignore what they
// have already.
func AddAccounts(dir string) ([]Request, error) {
	paths, err := filepath.Glob(filepath.Join(folder(dir).accountsPath(), "*.jwt"))
	if err != nil || len(paths) == 0 {
		return nil, errors.Join(fmt.Errorf("%s has no NATS accounts: run `hawser nats init` on it first", dir), err)
	}
	requests := make([]Request, 0, len(paths))
	for _, path := range paths {
		request, err := addAccount(path)
		if err != nil {
			return nil, err
		}
		requests = append(requests, request)
	}
	return requests, nil
}

func addAccount(path string) (Request, error) {
	token, err := os.ReadFile(path)
	if err != nil {
		return Request{}, fmt.Errorf("read the claims of an account: %w", err)
	}
	return Request{claimsAPI + "UPDATE", token}, nil
}

// RevokeTenant removes all accounts of a tenant from the folder. It returns their number and
// the request by which running servers end their connections; without it a server of `hawser
// up` has them until its next start.
func RevokeTenant(dir, scopeToken, identityToken string) (accounts int, end Request, err error) {
	t, err := newTenant("", scopeToken, identityToken)
	if err != nil {
		return 0, Request{}, err
	}
	f := folder(dir)
	ring, err := f.readKeys()
	if err != nil {
		return 0, Request{}, err
	}
	requests, err := AddAccounts(dir)
	if err != nil {
		return 0, Request{}, err
	}
	var ended []string
	for _, request := range requests {
		claims, err := jwt.DecodeAccountClaims(strings.TrimSpace(string(request.Data)))
		if err != nil {
			return 0, Request{}, fmt.Errorf("read the claims of an account in %s: %w", f.accountsPath(), err)
		}
		if claims.Name == t.name() {
			ended = append(ended, claims.Subject)
		}
	}
	claims := jwt.NewGenericClaims(ring.operator.public)
	claims.Data = map[string]any{"accounts": ended}
	token, err := claims.Encode(ring.operator.pair)
	if err != nil {
		return 0, Request{}, fmt.Errorf("sign the removal of accounts: %w", err)
	}
	for _, account := range ended {
		if err := os.Remove(f.accountPath(account)); err != nil {
			return 0, Request{}, fmt.Errorf("remove an account: %w", err)
		}
	}
	return len(ended), Request{claimsAPI + "DELETE", []byte(token)}, nil
}
