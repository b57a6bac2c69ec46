package app_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/app"
)

const clusterSecret = "0123456789abcdef"

// embedded are the arguments of a node of three.
func embedded(more ...string) []string {
	return append([]string{"-cluster", "embedded", "-node", "a", "-cluster-peers", "a:6222, b:6222,c:6222", "-cluster-secret", clusterSecret}, more...)
}

func TestParseConfig_cluster(t *testing.T) {
	three := app.ClusterConfig{
		Servers: "embedded", Node: "a", Peers: []string{"a:6222", "b:6222", "c:6222"}, Listen: ":6222", Secret: clusterSecret,
		Replicas: 3, Voters: 3, Lease: 3 * time.Second,
	}
	with := func(change func(*app.ClusterConfig)) app.ClusterConfig {
		c := three
		change(&c)
		return c
	}
	tests := []struct {
		name     string
		args     []string
		env      []string
		want     app.ClusterConfig
		warnings int
	}{
		{"none", nil, nil, app.ClusterConfig{}, 0},
		{"three", embedded(), nil, three, 0},
		{
			"by variables", nil,
			[]string{"TROUPE_CLUSTER=embedded", "TROUPE_NODE=a", "TROUPE_CLUSTER_PEERS=a:6222,b:6222,c:6222", "TROUPE_CLUSTER_SECRET=" + clusterSecret, "TROUPE_CLUSTER_LISTEN=10.0.0.1:6222"},
			with(func(c *app.ClusterConfig) { c.Listen = "10.0.0.1:6222" }), 0,
		},
		{"each read is proved", embedded("-cluster-lease", "0"), nil, with(func(c *app.ClusterConfig) { c.Lease = 0 }), 0},
		{
			"with TLS", embedded("-cluster-tls-cert", "c", "-cluster-tls-key", "k", "-cluster-tls-ca", "a"), nil,
			with(func(c *app.ClusterConfig) { c.CertFile, c.KeyFile, c.CAFile = "c", "k", "a" }), 0,
		},
		{
			"one", embedded("-cluster-peers", "a:1"), nil,
			with(func(c *app.ClusterConfig) { c.Peers, c.Replicas, c.Voters = append(c.Peers[:0:0], "a:1"), 1, 1 }), 1,
		},
		{
			"servers elsewhere", []string{"-cluster", "nats://u:p@h:4222,tls://i", "-node", "a", "-cluster-tls-ca", "a"}, nil,
			app.ClusterConfig{Servers: "nats://u:p@h:4222,tls://i", Node: "a", CAFile: "a", Replicas: 3, Lease: 3 * time.Second}, 0,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := app.ParseConfig(test.args, test.env, &bytes.Buffer{})
			if err != nil || !reflect.DeepEqual(got.Cluster, test.want) || len(got.Warnings) != test.warnings {
				t.Errorf("got %+v, %q, %v; want %+v", got.Cluster, got.Warnings, err, test.want)
			}
		})
	}
}

func TestParseConfig_clusterErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-cluster-peers", "a:1"}, `-cluster-peers: it has no effect without -cluster: set that, too`},
		{[]string{"-node", "a"}, `-node: it has no effect without -cluster`},
		{[]string{"-cluster", "yes"}, `-cluster: want embedded, or URLs such as nats://`},
		{[]string{"-cluster", "http://h:1"}, `-cluster: want embedded, or URLs`},
		{embedded("-store", "sqlite"), `-store: a cluster keeps its actors in NATS`},
		{embedded("-node", "a b"), `-node: want a name without spaces`},
		{embedded("-cluster-peers", "a"), `-cluster-peers: want addresses such as a.internal:6222, got "a"`},
		{embedded("-cluster-peers", ":6222"), `got ":6222"`},
		{embedded("-cluster-peers", "a:1,a:1"), `-cluster-peers: a:1 is there twice`},
		{embedded("-cluster-peers", ""), `-cluster-peers: want the addresses of the embedded servers`},
		{embedded("-cluster-listen", "6222"), `-cluster-listen: want host:port`},
		{embedded("-cluster-secret", "short"), `-cluster-secret: want a secret of 16 bytes or more, the same on all servers, got 5`},
		{embedded("-cluster-replicas", "2"), `-cluster-replicas: want 1, 3 or 5, got "2"`},
		{embedded("-cluster-replicas", "5"), `-cluster-replicas: there are only 3 servers`},
		{embedded("-cluster-voters", "2"), `-cluster-voters: want an odd number, got "2"`},
		{embedded("-cluster-lease", "100ms"), `-cluster-lease: want a duration from 1s to 1m, or 0, got "100ms"`},
		{embedded("-cluster-tls-cert", "c"), `-cluster-tls-cert and -cluster-tls-key: want both`},
		{embedded("-cluster-tls-ca", "c"), `-cluster-tls-ca: embedded servers check each other's`},
		{[]string{"-cluster", "nats://h", "-cluster-peers", "a:1"}, `-cluster-peers: it is for -cluster embedded: leave it out`},
	}
	for _, test := range tests {
		_, err := app.ParseConfig(test.args, nil, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got error %v, want one line with %q", test.args, err, test.want)
		}
	}
}
