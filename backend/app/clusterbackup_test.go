package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// newCertificate makes a certificate of this machine that signs itself, as files.
func newCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

// secureNATS starts a nats-server that takes clients with a password and a certificate only, and
// returns its address.
func secureNATS(t *testing.T, certFile, keyFile string) string {
	t.Helper()
	secure, err := clusterTLS(ClusterConfig{CertFile: certFile, KeyFile: keyFile, CAFile: certFile})
	if err != nil {
		t.Fatal(err)
	}
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 8 << 20,
		Username: "ada", Password: "hunter22", TLS: true, TLSVerify: true, TLSTimeout: 30,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: secure.Certificates, ClientCAs: secure.ClientCAs, ClientAuth: tls.RequireAndVerifyClientCert},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s.Addr().String()
}

// The data of a single server goes into a cluster on servers with TLS and a password, out of it
// again, and is checked. No message has the password.
func TestRun_clusterBackup(t *testing.T) {
	certFile, keyFile := newCertificate(t)
	addr := secureNATS(t, certFile, keyFile)
	data := filepath.Join(t.TempDir(), "data")
	s, err := sqlite.Open(t.Context(), data, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const actors = 3
	for i := range actors {
		key := host.Key{fmt.Sprint("room", i)}
		errs := s.Commit(t.Context(), []*store.Commit{{Actor: host.ActorID("chatRoom", key), Name: "chatRoom", Key: key, Log: "log", Rev: 1, Time: time.Now(), NextConn: 1, State: []byte(`{"messages":[]}`)}})
		if errs != nil {
			t.Fatal(errs)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(password string, args ...string) (string, error) {
		t.Helper()
		var out, problems bytes.Buffer
		args = append([]string{
			"-cluster", "tls://ada:" + password + "@" + addr, "-node", "n", "-cluster-replicas", "1",
			"-cluster-tls-cert", certFile, "-cluster-tls-key", keyFile, "-cluster-tls-ca", certFile,
		}, args...)
		err := Run(t.Context(), args, nil, nil, &out, &problems)
		if text := out.String() + problems.String() + fmt.Sprint(err); strings.Contains(text, password) {
			t.Errorf("%s has the password", text)
		}
		return out.String(), err
	}
	if _, err := run("wrong-password", "check"); err == nil || !strings.Contains(err.Error(), "Authorization Violation") {
		t.Errorf("with another password: got %v", err)
	}
	if out, err := run("hunter22", "restore", data); err != nil || !strings.Contains(out, fmt.Sprintf("restored %d actors", actors)) {
		t.Fatalf("restore: got %q, error %v", out, err)
	}
	if _, err := run("hunter22", "restore", data); err == nil || !strings.Contains(err.Error(), "has actors already") {
		t.Errorf("a second restore: got %v", err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if out, err := run("hunter22", "backup", file); err != nil || !strings.Contains(out, "backed up to "+file) {
		t.Fatalf("backup: got %q, error %v", out, err)
	}
	if _, err := run("hunter22", "backup", file); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a backup over another one: got %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".troupe*")); err != nil || len(left) > 0 {
		t.Errorf("the backup has left %v, error %v", left, err)
	}
	for _, args := range [][]string{{"check"}, {"check", file}} {
		if out, err := run("hunter22", args...); err != nil || !strings.Contains(out, fmt.Sprintf("chatRoom: %d actors, all ok", actors)) {
			t.Errorf("%v: got %s, error %v", args, out, err)
		}
	}
}
