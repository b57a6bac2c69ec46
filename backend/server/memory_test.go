package server

import (
	"testing"
	"testing/fstest"
)

// The limit of a cgroup is found where systems and containers have it.
func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		groups string
		files  map[string]string
		want   int64
	}{
		"no cgroups": {"", nil, 0},
		"version 2, in a container": {"0::/\n", map[string]string{
			"sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 * mib},
		"version 2, of a service": {"0::/system.slice/troupe.service\n", map[string]string{
			"sys/fs/cgroup/system.slice/troupe.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":                "max\n",
		}, 512 * mib},
		"version 2, the limit of a group around it": {"0::/pods/a\n", map[string]string{
			"sys/fs/cgroup/pods/a/memory.max": "max\n",
			"sys/fs/cgroup/pods/memory.max":   "134217728\n",
		}, 128 * mib},
		"version 2, without a limit": {"0::/user.slice\n", map[string]string{
			"sys/fs/cgroup/user.slice/memory.max": "max\n",
		}, 0},
		"version 2, a group outside": {"0::/../../other\n", map[string]string{
			"sys/fs/cgroup/memory.max": "134217728\n",
		}, 128 * mib},
		"version 1": {"5:cpu,cpuacct:/docker/8d3f\n4:memory:/docker/8d3f\n0::/\n", map[string]string{
			"sys/fs/cgroup/memory/docker/8d3f/memory.limit_in_bytes": "268435456\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":             "9223372036854771712\n",
		}, 256 * mib},
		"version 1, in a container that sees only its own group": {"4:memory:/docker/8d3f\n", map[string]string{
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
		}, 256 * mib},
		"version 1, without a limit": {"4:memory:/\n", map[string]string{
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0},
		"nonsense": {"x\n0::/\n", map[string]string{"sys/fs/cgroup/memory.max": "many\n"}, 0},
	} {
		root := fstest.MapFS{}
		if test.groups != "" {
			root["proc/self/cgroup"] = &fstest.MapFile{Data: []byte(test.groups)}
		}
		for file, content := range test.files {
			root[file] = &fstest.MapFile{Data: []byte(content)}
		}
		if got := memoryLimit(root); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}

func TestDefaultMaxActorBytes(t *testing.T) {
	machine := fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal:       65536000 kB\nMemFree:         1000 kB\n")}}
	if got, want := defaultMaxActorBytes(machine), int64(65_536_000)<<10/4; got != want {
		t.Errorf("without a limit: got %d, want %d", got, want)
	}
	machine["proc/self/cgroup"] = &fstest.MapFile{Data: []byte("0::/\n")}
	machine["sys/fs/cgroup/memory.max"] = &fstest.MapFile{Data: []byte("268435456\n")}
	if got, want := defaultMaxActorBytes(machine), int64(64<<20); got != want {
		t.Errorf("with a limit: got %d, want %d", got, want)
	}
	if got := defaultMaxActorBytes(fstest.MapFS{}); got != 0 {
		t.Errorf("if nothing is known: got %d, want 0", got)
	}
}

func TestDefaultMaxBuffers(t *testing.T) {
	for memory, want := range map[int64]int64{0: 256 << 20, 16 << 30: 256 << 20, 256 << 20: 32 << 20, 1 << 20: 1 << 20} {
		if got := defaultMaxBuffers(memory); got != want {
			t.Errorf("%d: got %d, want %d", memory, got, want)
		}
	}
}
