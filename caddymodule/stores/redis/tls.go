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

// config returns what is configured, and a hash of it, files and all: a
// certificate that was renewed is another.
func (t *TLS) config() (c *tls.Config, identity []byte, err error) {
	c = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	if c.ServerName, err = caddymodule.Read("server_name", t.ServerName, parseText, ""); err != nil {
		return nil, nil, err
	}
	var authorities, certificate, key []byte
	for _, file := range []struct {
		name string
		path caddymodule.Value
		to   *[]byte
	}{
		{"ca", t.CA, &authorities}, {"certificate", t.Certificate, &certificate}, {"key", t.Key, &key},
	} {
		if *file.to, err = caddymodule.Read(file.name, file.path, os.ReadFile, nil); err != nil {
			return nil, nil, err
		}
	}
	if authorities != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, nil, errors.New("ca: the file has no certificate in PEM")
		}
	}
	if (certificate == nil) != (key == nil) {
		return nil, nil, errors.New("certificate and key belong together")
	}
	if certificate != nil {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %v", authorities, certificate, key, c.ServerName, t.InsecureSkipVerify))
	return c, sum[:], nil
}
