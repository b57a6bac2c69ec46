package server

import (
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// MemoryLimit returns the memory limit of the process's cgroup in bytes, as containers and
// systemd set one; 0 if it has none. Options.MaxBuffers follows it by default; Go's
// garbage collector does not: see debug.SetMemoryLimit.
func MemoryLimit() int64 { return memoryLimit(os.DirFS("/")) }

// memoryLimit is MemoryLimit with the root of the file system. It knows cgroups of
// versions 2 and 1, where systems mount them. The limit is the lowest one of the group
// and the groups around it. A container may see only its own group, as the root.
func memoryLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0 // a system without cgroups
	}
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(string(groups)) {
		// Such as "0::/system.slice/troupe.service" or "4:memory:/docker/8d3f".
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		if slices.Contains(strings.Split(parts[1], ","), "memory") {
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			limit = min(limit, readLimit(root, path.Join(mount, group, file)))
			if group == "/" {
				break
			}
		}
	}
	if limit >= 1<<60 { // version 1 writes "no limit" as a large number
		return 0
	}
	return limit
}

// readLimit returns the limit in a file; the largest number if there is none.
func readLimit(root fs.FS, name string) int64 {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil || n <= 0 { // "max"
		return math.MaxInt64
	}
	return n
}

// defaultMaxActorBytes returns the default of Options.MaxActorBytes: a quarter of the memory
// limit, or else of the machine's memory; 0 if neither is known.
func defaultMaxActorBytes(root fs.FS) int64 {
	if limit := memoryLimit(root); limit > 0 {
		return limit / 4
	}
	info, _ := fs.ReadFile(root, "proc/meminfo") // only Linux has it
	for line := range strings.Lines(string(info)) {
		if total, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(total), "kB")), 10, 64)
			return kib << 10 / 4
		}
	}
	return 0
}

// defaultMaxBuffers returns the default of Options.MaxBuffers where memory has a limit. As
// much may wait for actors as for clients, and both take more memory than their bytes.
func defaultMaxBuffers(memory int64) int64 {
	const most = 256 << 20
	if memory <= 0 {
		return most
	}
	return min(most, max(memory/8, 1<<20))
}
