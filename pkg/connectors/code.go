package connectors

import (
	"maps"
	"net/http"
	"slices"
)

// Code is the kind of a failure. The same codes appear in HTTP problem documents, NATS
// replies, results, events and logs, and they never change their meaning.
type Code string

// The codes. INTERNAL is a bug in Hawser, or an error without a code.
const (
	CodeConnectorNotFound                   Code = "CONNECTOR_NOT_FOUND"
	CodeConnectorNotConnected               Code = "CONNECTOR_NOT_CONNECTED"
	CodeConnectorDisabled                   Code = "CONNECTOR_DISABLED"
	CodeConnectorAlreadyConnected           Code = "CONNECTOR_ALREADY_CONNECTED"
	CodeConnectorConfigInvalid              Code = "CONNECTOR_CONFIG_INVALID"
	CodeConnectorDefaultConfigRequired      Code = "CONNECTOR_DEFAULT_CONFIG_REQUIRED"
	CodeConnectorActionNotFound             Code = "CONNECTOR_ACTION_NOT_FOUND"
	CodeConnectorActionInputInvalid         Code = "CONNECTOR_ACTION_INPUT_INVALID"
	CodeConnectorActionOutputInvalid        Code = "CONNECTOR_ACTION_OUTPUT_INVALID"
	CodeConnectorActionFailed               Code = "CONNECTOR_ACTION_FAILED"
	CodeConnectorActionTimeout              Code = "CONNECTOR_ACTION_TIMEOUT"
	CodeConnectorActionUncertain            Code = "CONNECTOR_ACTION_UNCERTAIN"
	CodeConnectorRateLimited                Code = "CONNECTOR_RATE_LIMITED"
	CodeConnectorScopeInvalid               Code = "CONNECTOR_SCOPE_INVALID"
	CodeConnectorScopeIdentifierRequired    Code = "CONNECTOR_SCOPE_IDENTIFIER_REQUIRED"
	CodeConnectorDatabaseRequired           Code = "CONNECTOR_DATABASE_REQUIRED"
	CodeConnectorDatabaseFailed             Code = "CONNECTOR_DATABASE_FAILED"
	CodeConnectorOAuthNotConfigured         Code = "CONNECTOR_OAUTH_NOT_CONFIGURED"
	CodeConnectorOAuthStateInvalid          Code = "CONNECTOR_OAUTH_STATE_INVALID"
	CodeConnectorOAuthDenied                Code = "CONNECTOR_OAUTH_DENIED"
	CodeConnectorOAuthTokenFailed           Code = "CONNECTOR_OAUTH_TOKEN_FAILED"
	CodeConnectorOAuthParseTokenFailed      Code = "CONNECTOR_OAUTH_PARSE_TOKEN_FAILED"
	CodeConnectorOAuthParseUserinfoFailed   Code = "CONNECTOR_OAUTH_PARSE_USERINFO_FAILED"
	CodeConnectorOAuthRefreshFailed         Code = "CONNECTOR_OAUTH_REFRESH_FAILED"
	CodeConnectorOAuthSiteSelectionRequired Code = "CONNECTOR_OAUTH_SITE_SELECTION_REQUIRED"
	CodeConnectorWebhookNotConfigured       Code = "CONNECTOR_WEBHOOK_NOT_CONFIGURED"
	CodeConnectorWebhookValidationFailed    Code = "CONNECTOR_WEBHOOK_VALIDATION_FAILED"
	CodeConnectorWebhookVerificationFailed  Code = "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"
	CodeConnectorWebhookTooLarge            Code = "CONNECTOR_WEBHOOK_TOO_LARGE"
	CodeConnectorEncryptFailed              Code = "CONNECTOR_ENCRYPT_FAILED"
	CodeConnectorDecryptFailed              Code = "CONNECTOR_DECRYPT_FAILED"
	CodeConnectorEncryptionSecretRequired   Code = "CONNECTOR_ENCRYPTION_SECRET_REQUIRED"
	CodeConnectorBuildConfigRequired        Code = "CONNECTOR_BUILD_CONFIG_REQUIRED"
	CodeConnectorBuildScopesRequired        Code = "CONNECTOR_BUILD_SCOPES_REQUIRED"
	CodeConnectorBuildConnectorsRequired    Code = "CONNECTOR_BUILD_CONNECTORS_REQUIRED"
	CodeConnectorIdempotencyConflict        Code = "CONNECTOR_IDEMPOTENCY_CONFLICT"
	CodeConnectorQuotaExceeded              Code = "CONNECTOR_QUOTA_EXCEEDED"
	CodeConnectorUnavailable                Code = "CONNECTOR_UNAVAILABLE"
	CodeRequestInvalid                      Code = "REQUEST_INVALID"
	CodeRequestTooLarge                     Code = "REQUEST_TOO_LARGE"
	CodeUnauthenticated                     Code = "UNAUTHENTICATED"
	CodeForbidden                           Code = "FORBIDDEN"
	CodeInternal                            Code = "INTERNAL"
)

// meaning is the HTTP status of a code, and whether a retry may help.
type meaning struct {
	status    int
	retryable bool
}

// meanings is read-only.
var meanings = map[Code]meaning{
	CodeConnectorNotFound:                   {http.StatusNotFound, false},
	CodeConnectorNotConnected:               {http.StatusNotFound, false},
	CodeConnectorDisabled:                   {http.StatusConflict, false},
	CodeConnectorAlreadyConnected:           {http.StatusConflict, false},
	CodeConnectorConfigInvalid:              {http.StatusBadRequest, false},
	CodeConnectorDefaultConfigRequired:      {http.StatusBadRequest, false},
	CodeConnectorActionNotFound:             {http.StatusNotFound, false},
	CodeConnectorActionInputInvalid:         {http.StatusBadRequest, false},
	CodeConnectorActionOutputInvalid:        {http.StatusBadGateway, false},
	CodeConnectorActionFailed:               {http.StatusBadGateway, true},
	CodeConnectorActionTimeout:              {http.StatusGatewayTimeout, true},
	CodeConnectorActionUncertain:            {http.StatusBadGateway, false},
	CodeConnectorRateLimited:                {http.StatusTooManyRequests, true},
	CodeConnectorScopeInvalid:               {http.StatusBadRequest, false},
	CodeConnectorScopeIdentifierRequired:    {http.StatusBadRequest, false},
	CodeConnectorDatabaseRequired:           {http.StatusInternalServerError, false},
	CodeConnectorDatabaseFailed:             {http.StatusServiceUnavailable, true},
	CodeConnectorOAuthNotConfigured:         {http.StatusBadRequest, false},
	CodeConnectorOAuthStateInvalid:          {http.StatusBadRequest, false},
	CodeConnectorOAuthDenied:                {http.StatusBadRequest, false},
	CodeConnectorOAuthTokenFailed:           {http.StatusBadGateway, true},
	CodeConnectorOAuthParseTokenFailed:      {http.StatusBadGateway, false},
	CodeConnectorOAuthParseUserinfoFailed:   {http.StatusBadGateway, false},
	CodeConnectorOAuthRefreshFailed:         {http.StatusUnauthorized, false},
	CodeConnectorOAuthSiteSelectionRequired: {http.StatusConflict, false},
	CodeConnectorWebhookNotConfigured:       {http.StatusNotFound, false},
	CodeConnectorWebhookValidationFailed:    {http.StatusBadRequest, false},
	CodeConnectorWebhookVerificationFailed:  {http.StatusUnauthorized, false},
	CodeConnectorWebhookTooLarge:            {http.StatusRequestEntityTooLarge, false},
	CodeConnectorEncryptFailed:              {http.StatusInternalServerError, false},
	CodeConnectorDecryptFailed:              {http.StatusInternalServerError, false},
	CodeConnectorEncryptionSecretRequired:   {http.StatusInternalServerError, false},
	CodeConnectorBuildConfigRequired:        {http.StatusInternalServerError, false},
	CodeConnectorBuildScopesRequired:        {http.StatusInternalServerError, false},
	CodeConnectorBuildConnectorsRequired:    {http.StatusInternalServerError, false},
	CodeConnectorIdempotencyConflict:        {http.StatusUnprocessableEntity, false},
	CodeConnectorQuotaExceeded:              {http.StatusTooManyRequests, true},
	CodeConnectorUnavailable:                {http.StatusServiceUnavailable, true},
	CodeRequestInvalid:                      {http.StatusBadRequest, false},
	CodeRequestTooLarge:                     {http.StatusRequestEntityTooLarge, false},
	CodeUnauthenticated:                     {http.StatusUnauthorized, false},
	CodeForbidden:                           {http.StatusForbidden, false},
	CodeInternal:                            {http.StatusInternalServerError, true},
}

// Codes returns every code, sorted by name.
func Codes() []Code { return slices.Sorted(maps.Keys(meanings)) }

// HTTPStatus returns the status of the HTTP reply that carries the code; 500 for
// an unknown code, such as one of a newer version.
func (c Code) HTTPStatus() int {
	if m, ok := meanings[c]; ok {
		return m.status
	}
	return http.StatusInternalServerError
}

// Known reports whether the code is one of [Codes].
func (c Code) Known() bool { _, ok := meanings[c]; return ok }

// Retryable reports whether the same request, unchanged, may succeed later. What
// a single failure allows can be narrower: see [IsRetryable].
func (c Code) Retryable() bool { return meanings[c].retryable }
