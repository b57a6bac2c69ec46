package app

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/cluster"
	"github.com/troupe-dev/troupe/backend/server"
)

// ClusterConfig says how the server is a node of a cluster.
type ClusterConfig struct {
	Servers  string        // clusterEmbedded, or the URLs of NATS servers; empty: no cluster
	Node     string        // name; empty: the host's
	Peers    []string      // host:port of the embedded servers
	Listen   string        // host:port of the embedded server
	Secret   string        // that the embedded servers share
	CertFile string        // TLS between embedded servers, or to those of Servers
	KeyFile  string        // of CertFile
	CAFile   string        // who signs the others' certificates
	Replicas int           // servers that keep each message
	Voters   int           // embedded servers that store data: the first of Peers
	Lease    time.Duration // 0: each read is proved
}

// clusterEmbedded is the value of -cluster for a nats-server in this process.
const clusterEmbedded = "embedded"

// minClusterSecret is the length of the shortest secret that is not too easy to guess.
const minClusterSecret = 16

var clusterSettings = []setting{
	{
		flag: "cluster", env: "TROUPE_CLUSTER", standard: "", argument: "servers",
		help: "run the actors together with other servers: embedded starts a NATS server in this process, which keeps its files in nats in the data directory; nats://user:password@host:4222,… uses servers with JetStream, whose sync_interval must be always",
		set: func(c *Config, v string) error {
			c.Cluster.Servers = v
			if v == "" || v == clusterEmbedded {
				return nil
			}
			for one := range strings.SplitSeq(v, ",") {
				u, err := url.Parse(strings.TrimSpace(one))
				if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
					return errors.New("want embedded, or URLs such as nats://user:password@host:4222 or tls://host:4222") // it may have a password
				}
			}
			return nil
		},
	},
	{
		flag: "node", env: "TROUPE_NODE", standard: "", argument: "name",
		help: "with -cluster: name of this server, unlike the others' and the same at each start; by default, the host name",
		set: func(c *Config, v string) error {
			if strings.ContainsAny(v, " \t\r\n.*>/\\") || len(v) > 64 {
				return fmt.Errorf("want a name without spaces, dots, slashes and stars, at most 64 bytes, got %q", v)
			}
			c.Cluster.Node = v
			return nil
		},
	},
	{
		flag: "cluster-peers", env: "TROUPE_CLUSTER_PEERS", standard: "", argument: "host:port,…",
		help: "with -cluster embedded: where the embedded servers listen for each other, this one's address too; the same list on all",
		set: func(c *Config, v string) error {
			for peer := range strings.SplitSeq(v, ",") {
				if peer = strings.TrimSpace(peer); peer == "" {
					continue
				}
				if host, port, err := net.SplitHostPort(peer); err != nil || host == "" || port == "" || port == "0" || server.CheckAddr(peer) != nil {
					return fmt.Errorf("want addresses such as a.internal:6222, got %q", peer)
				}
				if slices.Contains(c.Cluster.Peers, peer) {
					return fmt.Errorf("%s is there twice", peer)
				}
				c.Cluster.Peers = append(c.Cluster.Peers, peer)
			}
			return nil
		},
	},
	{
		flag: "cluster-listen", env: "TROUPE_CLUSTER_LISTEN", standard: ":6222", argument: "[host]:port",
		help: "with -cluster embedded: address to listen on for the other servers; let nobody else reach it",
		set: func(c *Config, v string) error {
			c.Cluster.Listen = v
			return server.CheckAddr(v)
		},
	},
	{
		flag: "cluster-secret", env: "TROUPE_CLUSTER_SECRET", standard: "", argument: "secret",
		help: "with -cluster embedded: secret that the servers share, 16 bytes or more; anyone who has it and can reach -cluster-listen can read and change everything. Other users of the machine can read flags, but not variables",
		set: func(c *Config, v string) error {
			c.Cluster.Secret = v
			return nil
		},
	},
	{
		flag: "cluster-tls-cert", env: "TROUPE_CLUSTER_TLS_CERT", standard: "", argument: "file",
		help: "with -cluster: certificate, as PEM, with which this server speaks to the others by TLS; it is for both servers and clients",
		set:  func(c *Config, v string) error { c.Cluster.CertFile = v; return nil },
	},
	{
		flag: "cluster-tls-key", env: "TROUPE_CLUSTER_TLS_KEY", standard: "", argument: "file",
		help: "with -cluster: key of -cluster-tls-cert",
		set:  func(c *Config, v string) error { c.Cluster.KeyFile = v; return nil },
	},
	{
		flag: "cluster-tls-ca", env: "TROUPE_CLUSTER_TLS_CA", standard: "", argument: "file",
		help: "with -cluster: certificates, as PEM, of who signs those of the other servers",
		set:  func(c *Config, v string) error { c.Cluster.CAFile = v; return nil },
	},
	{
		flag: "cluster-replicas", env: "TROUPE_CLUSTER_REPLICAS", standard: "3", argument: "n",
		help: "with -cluster: how many NATS servers keep each message, 1, 3 or 5; used at the very first start. With less than 3 embedded servers it is 1",
		set: func(c *Config, v string) (err error) {
			if c.Cluster.Replicas, err = strconv.Atoi(v); err != nil || !slices.Contains([]int{1, 3, 5}, c.Cluster.Replicas) {
				return fmt.Errorf("want 1, 3 or 5, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "cluster-voters", env: "TROUPE_CLUSTER_VOTERS", standard: "3", argument: "n",
		help: "with -cluster embedded: how many servers store data, the first of -cluster-peers; the others only run actors",
		set: func(c *Config, v string) error {
			if err := setCount(&c.Cluster.Voters, v); err != nil || c.Cluster.Voters%2 == 0 {
				return fmt.Errorf("want an odd number, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "cluster-lease", env: "TROUPE_CLUSTER_LEASE", standard: "3s", argument: "duration",
		help: "with -cluster: how long a server that is silent keeps its actors before others take them over, from 1s to 1m, the same on all; 0 also asks the NATS servers before each read, so that not even a machine whose clock stood still answers with what is old",
		set: func(c *Config, v string) (err error) {
			if c.Cluster.Lease, err = time.ParseDuration(v); err != nil || c.Cluster.Lease != 0 && (c.Cluster.Lease < time.Second || c.Cluster.Lease > time.Minute) {
				return fmt.Errorf("want a duration from 1s to 1m, or 0, got %q", v)
			}
			return nil
		},
	},
}

// checkCluster checks the settings of a cluster together. sources are the names of those that
// were given.
func (c *Config) checkCluster(sources map[string]string) error {
	of := &c.Cluster
	if of.Servers == "" {
		for _, s := range clusterSettings {
			if source := sources[s.flag]; source != "" && s.flag != "cluster" {
				return fmt.Errorf("%s: it has no effect without -cluster: set that, too, such as -cluster embedded", source)
			}
		}
		*of = ClusterConfig{}
		return nil
	}
	if source := sources["store"]; source != "" {
		return fmt.Errorf("%s: a cluster keeps its actors in NATS: leave it out, or leave out -cluster", source)
	}
	if of.Node == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("-node: the host has no name: set one: %w", err)
		}
		of.Node, _, _ = strings.Cut(name, ".")
	}
	if (of.CertFile == "") != (of.KeyFile == "") {
		return errors.New("-cluster-tls-cert and -cluster-tls-key: want both, or none of them")
	}
	if of.Servers != clusterEmbedded {
		for _, name := range []string{"cluster-peers", "cluster-listen", "cluster-secret", "cluster-voters"} {
			if source := sources[name]; source != "" {
				return fmt.Errorf("%s: it is for -cluster embedded: leave it out", source)
			}
		}
		of.Listen, of.Voters = "", 0
		return nil
	}
	switch {
	case len(of.Peers) == 0:
		return errors.New("-cluster-peers: want the addresses of the embedded servers, this one's too, such as a.internal:6222,b.internal:6222,c.internal:6222")
	case len(of.Secret) < minClusterSecret:
		return fmt.Errorf("-cluster-secret: want a secret of %d bytes or more, the same on all servers, got %d", minClusterSecret, len(of.Secret))
	case of.CertFile != "" && of.CAFile == "", of.CAFile != "" && of.CertFile == "":
		return errors.New("-cluster-tls-ca: embedded servers check each other's certificates: want -cluster-tls-cert, -cluster-tls-key and -cluster-tls-ca, or none of them")
	case len(of.Peers) == 2:
		c.Warnings = append(c.Warnings, "two servers are no more robust than one, because both must work: use one, or three")
	}
	of.Voters = min(of.Voters, len(of.Peers))
	if of.Replicas > of.Voters {
		if sources["cluster-replicas"] != "" {
			return fmt.Errorf("%s: there are only %d servers that store data", sources["cluster-replicas"], of.Voters)
		}
		of.Replicas = 1
		c.Warnings = append(c.Warnings, "with less than 3 servers each message is kept by one of them: if its disk is lost, so is everything")
	}
	return nil
}

// newCluster starts the node of a cluster.
func newCluster(c Config, logger *slog.Logger) (*cluster.Cluster, error) {
	o, err := clusterOptions(c, logger)
	if err != nil {
		return nil, err
	}
	if o.Embed != nil {
		if o.Embed.Voter, err = isVoter(c.Cluster); err != nil {
			return nil, err
		}
	} else {
		logger.Info("the NATS servers of a cluster must write to their disks before they acknowledge: set sync_interval: always in their configuration, or a power cut of all of them loses what was acknowledged")
	}
	return cluster.New(o)
}

// clusterOptions returns the options of a node that stores nothing.
func clusterOptions(c Config, logger *slog.Logger) (o cluster.Options, err error) {
	of := c.Cluster
	secure, err := clusterTLS(of)
	if err != nil {
		return o, err
	}
	o = cluster.Options{
		Node: of.Node, Replicas: of.Replicas, Lease: cmp.Or(of.Lease, cluster.DefaultLease), ProveReads: of.Lease == 0, Logger: logger,
	}
	if of.Servers == clusterEmbedded {
		o.Embed = &cluster.EmbedOptions{Dir: filepath.Join(c.Data, "nats"), Listen: of.Listen, Peers: of.Peers, Secret: of.Secret, TLS: secure}
	} else {
		o.URL, o.TLS = of.Servers, secure
	}
	return o, nil
}

// isVoter reports whether this server is one of the peers that store data. Only if there are
// others it has to know which of the peers it is.
func isVoter(of ClusterConfig) (bool, error) {
	if len(of.Peers) <= of.Voters {
		return true, nil
	}
	host, port, err := net.SplitHostPort(of.Listen)
	if err != nil {
		return false, err
	}
	full, _ := os.Hostname() // an error means that it has no name
	for i, peer := range of.Peers {
		peerHost, peerPort, _ := net.SplitHostPort(peer) // checked
		first, _, _ := strings.Cut(peerHost, ".")
		if peerPort == port && (peerHost == host || peerHost == full || peerHost == of.Node || first == of.Node) {
			return i < of.Voters, nil
		}
	}
	return false, fmt.Errorf("-cluster-peers: none of them is this server, %q with -cluster-listen %s: name it there by its -node or host name", of.Node, of.Listen)
}

// clusterTLS returns the TLS between nodes; nil if there is none.
func clusterTLS(of ClusterConfig) (*tls.Config, error) {
	if of.CertFile == "" && of.CAFile == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS13}
	if of.CertFile != "" {
		own, err := tls.LoadX509KeyPair(of.CertFile, of.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("-cluster-tls-cert: %w", err)
		}
		t.Certificates = []tls.Certificate{own}
	}
	if of.CAFile != "" {
		pem, err := os.ReadFile(of.CAFile)
		if err != nil {
			return nil, fmt.Errorf("-cluster-tls-ca: %w", err)
		}
		signers := x509.NewCertPool()
		if !signers.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("-cluster-tls-ca: %s has no certificates", of.CAFile)
		}
		t.RootCAs, t.ClientCAs, t.ClientAuth = signers, signers, tls.RequireAndVerifyClientCert
	}
	return t, nil
}
