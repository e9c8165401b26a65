package redisstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rudder-session/rudder-session/internal/freeport"
	"github.com/rudder-session/rudder-session/internal/redistest"
	"github.com/rudder-session/rudder-session/sessionstate/redisstore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// authority is a certificate authority that keeps its certificates in files.
type authority struct {
	t      *testing.T
	dir    string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make("ca", nil)
	return a
}

// file is the path of a certificate ("crt") or its key ("key").
func (a *authority) file(name, kind string) string { return filepath.Join(a.dir, name+"."+kind) }

func (a *authority) make(name string, hosts []string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: a.cert == nil,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		a.file(name, "crt"): {Type: "CERTIFICATE", Bytes: der}, a.file(name, "key"): {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key
}

// trusting returns the configuration of a client that trusts the authority, and has the
// certificate with a name unless it is "".
func (a *authority) trusting(name string) *tls.Config {
	a.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(a.cert)
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.file(name, "crt"), a.file(name, "key"))
		if err != nil {
			a.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// start runs a server with a certificate for hosts, and returns its TLS port.
func (a *authority) start(clients string, hosts ...string) (port string) {
	a.t.Helper()
	a.make("server", hosts)
	port = strconv.Itoa(freeport.Claim(a.t))
	redistest.Start(a.t, "--tls-port", port, "--tls-cert-file", a.file("server", "crt"), "--tls-key-file", a.file("server", "key"),
		"--tls-ca-cert-file", a.file("ca", "crt"), "--tls-auth-clients", clients)
	return port
}

const refused = "any error"

func TestTLS(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	a.make("client", nil)
	stranger.make("client", nil)
	open := a.start("no", "127.0.0.1", "redis.test")
	closed := a.start("yes", "127.0.0.1", "redis.test")
	elsewhere := a.start("no", "redis.test")
	named := a.trusting("")
	named.ServerName = "redis.test"
	misnamed := a.trusting("")
	misnamed.ServerName = "other.test"
	for name, c := range map[string]struct {
		scheme, port string
		config       *tls.Config
		// want is a part of the error; "" is none, refused is any.
		want string
	}{
		"trusted":                        {"rediss", open, a.trusting(""), ""},
		"Valkey":                         {"valkeys", open, a.trusting(""), ""},
		"with a name":                    {"rediss", elsewhere, named, ""},
		"not to be verified":             {"rediss", elsewhere, &tls.Config{InsecureSkipVerify: true}, ""},
		"a client certificate":           {"rediss", closed, a.trusting("client"), ""},
		"a client certificate, unneeded": {"rediss", open, a.trusting("client"), ""},
		"not trusted":                    {"rediss", open, nil, "certificate"},
		"a stranger is trusted":          {"rediss", open, stranger.trusting(""), "certificate"},
		"another name":                   {"rediss", open, misnamed, "other.test"},
		"not the host's certificate":     {"rediss", elsewhere, a.trusting(""), "127.0.0.1"},
		"no client certificate":          {"rediss", closed, a.trusting(""), refused},
		// Which error arrives depends on timing.
		"a stranger's client certificate": {"rediss", closed, withCertificate(a.trusting(""), stranger.trusting("client")), refused},
		"without TLS":                     {"redis", open, nil, refused},
	} {
		t.Run(name, func(t *testing.T) {
			var seen states
			tables := openTables(t, 2, redisstore.Options{
				URLs: []string{c.scheme + "://127.0.0.1:" + c.port}, TLS: c.config, Log: seen.log(),
			})
			if c.want == "" {
				awaitID(t, tables[1], "key", send(t, tables[0], "key", session.Start).SessionID)
				return
			}
			if _, err := apply(tables[0], "key", message(session.Start)); !isDown(err) {
				t.Errorf("a call that cannot be: %v", err)
			}
			if _, _, err := seen.get(); err == nil || c.want != refused && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func withCertificate(c, of *tls.Config) *tls.Config {
	c.Certificates = of.Certificates
	return c
}
