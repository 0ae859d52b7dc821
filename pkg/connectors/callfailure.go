package connectors

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
)

// CallFailure says for people why a call of a provider had no response, and what to change. It
// returns "" for other errors. It names neither hosts nor URLs, which may be internal or
// hold credentials.
//
// An address that may not be called is an error with a method AddressRefused.
func CallFailure(err error) string {
	const trust = "no TLS connection to the provider: "
	refused, isRefused := errors.AsType[interface {
		error
		AddressRefused() bool
	}](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case isRefused && refused.AddressRefused():
		return "the provider's address lies in a network that may not be called: the operator allows networks (HAWSER_ALLOW_NETWORKS)"
	case is[*net.DNSError](err):
		return "the provider's host name cannot be resolved: check the base URL, or the name server of this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the provider's host refused the connection: check host and port of the base URL"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to the provider's host: check the network of this machine"
	case is[x509.HostnameError](err):
		return trust + "its certificate is for another host name; check the base URL"
	case is[x509.UnknownAuthorityError](err):
		return trust + "its certificate is of an authority that this machine does not trust; install the authority's certificate (SSL_CERT_FILE)"
	case is[x509.CertificateInvalidError](err):
		return trust + "its certificate is not valid now; check the clock of this machine, or tell the provider"
	case is[tls.RecordHeaderError](err), strings.Contains(textOf(err), "server gave HTTP response to HTTPS client"):
		return trust + "it does not speak TLS on this port; check the scheme of the base URL"
	case is[*tls.CertificateVerificationError](err), is[tls.AlertError](err):
		return trust + "it was refused"
	case isTimeout && timeout.Timeout():
		return "the provider did not answer in time"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the provider closed the connection without a response"
	}
	return ""
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
