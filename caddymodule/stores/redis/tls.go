package redis

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/rudder-session/rudder-session/caddymodule"
)

// TLS configures which servers to trust, and the certificate of this Caddy.
type TLS struct {
	// A PEM file with the certificates of the authorities to trust. Default: the
	// system's.
	CA caddymodule.Value `json:"ca,omitempty"`

	// PEM files with a client certificate and its key. Default: none.
	Certificate caddymodule.Value `json:"certificate,omitempty"`
	Key         caddymodule.Value `json:"key,omitempty"`

	// The name that the servers' certificates must have. Default: the host of
	// the connection.
	ServerName caddymodule.Value `json:"server_name,omitempty"`

	// Trust any certificate. Only for tests. Default: false.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`

	serverName           string
	ca, certificate, key []byte
}

func (t *TLS) options() []caddymodule.Option {
	return []caddymodule.Option{
		textOption("server_name", &t.ServerName, &t.serverName),
		fileOption("ca", &t.CA, &t.ca),
		fileOption("certificate", &t.Certificate, &t.certificate),
		fileOption("key", &t.Key, &t.key),
		caddymodule.FlagOption("insecure_skip_verify", &t.InsecureSkipVerify),
	}
}

// fileOption is an option that names a file. The file is read at provisioning, not
// by the Caddyfile adapter, which may run on another machine.
func fileOption(name string, from *caddymodule.Value, to *[]byte) caddymodule.Option {
	o := textOption(name, from, new(string))
	o.Read = caddymodule.ValueOption(name, from, os.ReadFile, nil, to).Read
	return o
}

func (s *Store) readTLS() (err error) {
	if s.TLS == nil {
		return nil
	}
	if s.client.TLS, s.tlsIdentity, err = s.TLS.config(); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return nil
}

// config returns the TLS configuration and a hash of it. The hash includes the
// contents of the files, so it changes when a certificate is renewed.
func (t *TLS) config() (c *tls.Config, identity []byte, err error) {
	if err := caddymodule.ReadOptions(t.options()); err != nil {
		return nil, nil, err
	}
	c = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify, ServerName: t.serverName}
	if t.ca != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.ca) {
			return nil, nil, errors.New("ca: the file has no certificate in PEM")
		}
	}
	if (t.certificate == nil) != (t.key == nil) {
		return nil, nil, errors.New("certificate and key belong together")
	}
	if t.certificate != nil {
		pair, err := tls.X509KeyPair(t.certificate, t.key)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %v", t.ca, t.certificate, t.key, c.ServerName, t.InsecureSkipVerify))
	return c, sum[:], nil
}
