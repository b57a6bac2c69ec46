package cluster

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/troupe-dev/troupe/backend/store"
)

// gather returns the values of a node's metrics, by name and label.
func gather(t *testing.T, n *natsNode, port *Port) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{n.member, port, n.store})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			// All but one of these are zero.
			values[name] = m.Counter.GetValue() + m.Gauge.GetValue() + float64(m.Histogram.GetSampleCount())
		}
	}
	return values
}

// checkMetrics checks what is counted on the nodes that are left when another one has died.
func checkMetrics(t *testing.T, rest []*natsNode) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	sum := map[string]float64{}
	for _, n := range rest {
		port := NewPort(newFakeHost(), nil, n.member, PortOptions{Logger: log})
		before := gather(t, n, port)
		_, slot := n.member.table()
		if err := port.Join(&natsBus{n.nc, "t", log}, slot); err != nil {
			t.Fatal(err)
		}
		defer port.Leave()
		stats := port.stats()
		stats.SentBytes.Store(1)
		stats.ReceivedBytes.Store(2)
		stats.UnackedBytes.Store(3)
		stats.Gaps.Store(4)
		stats.Repeated.Store(5)
		stats.Ended.Store(6)
		after := gather(t, n, port)
		for i, name := range []string{"link_bytes_total out", "link_bytes_total in", "link_unacked_bytes", "link_gaps_total", "link_repeated_frames_total", "link_sessions_ended_total"} {
			if name = "troupe_cluster_" + name; before[name] != 0 || after[name] != float64(i+1) {
				t.Errorf("%s is %v before the node has links, and then %v; want 0 and %d", name, before[name], after[name], i+1)
			}
		}
		if lease := after["troupe_cluster_lease_seconds"]; lease < 0 || lease > natsLease.Seconds() {
			t.Errorf("the lease holds for %v s more", lease)
		}
		if nodes := after["troupe_cluster_nodes"]; nodes != float64(len(rest)) {
			t.Errorf("there are %v nodes, want %d", nodes, len(rest))
		}
		if version := after["troupe_cluster_table_version"]; version < 4 {
			t.Errorf("the table's version is %v after three nodes have joined and one has died", version)
		}
		for name, value := range after {
			sum[name] += value
		}
	}
	if parts := sum["troupe_cluster_partitions_owned"]; parts != store.Partitions {
		t.Errorf("%v partitions are owned, want %d", parts, store.Partitions)
	}
	if seals := sum["troupe_cluster_seals_total"]; seals < 1 {
		t.Error("no node has ended the journal of the dead node")
	}
	if adopts := sum["troupe_cluster_adopt_seconds"]; adopts < float64(len(rest)) {
		t.Errorf("partitions were taken over %v times by %d nodes", adopts, len(rest))
	}
	for _, name := range []string{"publish_retries_total", "stale_reads_total", "stuck_seconds"} {
		if _, ok := sum["troupe_cluster_"+name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
}
