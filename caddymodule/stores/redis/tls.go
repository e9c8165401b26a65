package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/rudder-session/rudder-session/caddymodule"
)

// TLS says whom to trust, and who this Caddy is.
type TLS struct {
	// A file with the certificates, in PEM, of the authorities to trust. Default:
	// the system's.
	CA caddymodule.Value `json:"ca,omitempty"`

	// Files with a certificate and its key, in PEM, to be known by. Default: none.
	Certificate caddymodule.Value `json:"certificate,omitempty"`
	Key         caddymodule.Value `json:"key,omitempty"`

	// The name that the servers' certificates must have. Default: the host that
	// is connected to.
	ServerName caddymodule.Value `json:"server_name,omitempty"`

	// Trust any certificate: for tries alone. Default: false.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
}

func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	var certificate, key string
	var err error
	if c.RootCAs, err = caddymodule.Read("ca", t.CA, readPool, nil); err != nil {
		return nil, err
	}
	if c.ServerName, err = caddymodule.Read("server_name", t.ServerName, parseText, ""); err != nil {
		return nil, err
	}
	if certificate, err = caddymodule.Read("certificate", t.Certificate, parseText, ""); err != nil {
		return nil, err
	}
	if key, err = caddymodule.Read("key", t.Key, parseText, ""); err != nil {
		return nil, err
	}
	if certificate == "" && key == "" {
		return c, nil
	}
	if certificate == "" || key == "" {
		return nil, errors.New("certificate and key belong together")
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

func readPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}

// String tells apart what makes another connection.
func (t *TLS) String() string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("%q", []any{t.CA, t.Certificate, t.Key, t.ServerName, t.InsecureSkipVerify})
}
