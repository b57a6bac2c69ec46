package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// mutualTLS returns the TLS of servers that know each other by one certificate of this machine.
func mutualTLS(t *testing.T, addresses ...string) *tls.Config {
	t.Helper()
	var ips []net.IP
	for _, address := range addresses {
		ips = append(ips, netip.MustParseAddrPort(address).Addr().AsSlice())
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, IPAddresses: ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	signers := x509.NewCertPool()
	signers.AddCert(c)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs: signers, ClientCAs: signers, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// A backup of a cluster whose servers are embedded in nodes is made by a server that joins them
// for that, by TLS. One without it does not get in.
func TestBackupOfEmbeddedServers(t *testing.T) {
	address := freeAddress(t)
	log := slog.New(slog.DiscardHandler)
	secure := mutualTLS(t, address)
	s, err := Embed(EmbedOptions{Name: "a", Dir: t.TempDir(), Listen: address, Peers: []string{address}, Secret: "s3cret", TLS: secure, Voter: true, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	of := jetstream.Options{Replicas: 1, Timeout: time.Minute, Logger: log}
	node, err := jetstream.Open(t.Context(), nc, of)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := &store.Commit{Actor: "ada", Name: "chat", Log: "log", Rev: 1, Time: time.Now(), State: json.RawMessage("1"), NextConn: 1}
	if err := errors.Join(node.Commit(t.Context(), []*store.Commit{one})...); err != nil {
		t.Fatal(err)
	}

	to, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close() // it is thrown away
	o := Options{Node: "a", Replicas: 1, Logger: log, Embed: &EmbedOptions{Peers: []string{address}, Secret: "s3cret", TLS: secure}}
	if err := Backup(t.Context(), o, to); err != nil {
		t.Fatal(err)
	}
	if got, err := to.Load(t.Context(), "ada"); err != nil || got.Rev != 1 {
		t.Errorf("the backup has %+v, error %v", got, err)
	}
	if _, err := Restore(t.Context(), o, nil); !errors.Is(err, jetstream.ErrNotEmpty) {
		t.Errorf("a restore over actors: got %v, want %v", err, jetstream.ErrNotEmpty)
	}
	if err := node.Prove(t.Context()); err != nil {
		t.Errorf("the node does not go on: %v", err)
	}
	o.Embed.TLS = nil
	if err := Backup(t.Context(), o, to); err == nil || !strings.Contains(err.Error(), "failed to verify certificate") {
		t.Errorf("a backup without TLS: got %v, want that the server's certificate is not known", err)
	}
	if err := node.Close(); err != nil {
		t.Error(err)
	}
}
