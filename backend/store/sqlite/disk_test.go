//go:build unix

package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk is an SQLite file system (VFS) that records what has been synced, so that it
// can compute what a disk may hold after a loss of power. It also fails on demand. It
// is SQLite's own VFS with a few methods replaced.
//
// The model of power loss: any part of the writes since a file's last sync may be on
// disk, down to sectors, in any order. A file that was made and never synced may be
// missing. A failed sync decides which writes are on disk: the system still shows all
// of them, but never writes the rest, whatever is synced later (as on Linux).
type disk struct {
	name    string
	real    *sqlite3.Tsqlite3_vfs
	methods sync.Map // the methods of SQLite's files, by address: *methods

	mu    sync.Mutex
	files map[string]*diskFile // by path
	fail  func(op diskOp, path string) int32
	rand  *rand.Rand
	reads int // calls of read
}

// methods are SQLite's methods and ours for one kind of file.
type methods struct {
	real *sqlite3.Tsqlite3_io_methods
	ours uintptr // in C's memory
}

// allocate copies a value into C memory, which is never freed: SQLite may read it
// until the process ends.
func allocate[T any](tls *libc.TLS, v T) uintptr {
	address := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(v)))
	if address == 0 {
		panic("out of memory")
	}
	*at[T](address) = v
	return address
}

type diskOp string

const (
	opWrite    diskOp = "write"
	opSync     diskOp = "sync"
	opTruncate diskOp = "truncate"
	opClose    diskOp = "close" // does not fail
)

// diskFile is the content of a file that is certainly on disk, and the later writes.
type diskFile struct {
	synced  []byte
	certain bool // it exists for certain
	since   []diskWrite
}

// diskWrite is a write, or a truncation if data is nil.
type diskWrite struct {
	off  int64
	data []byte
}

// openFiles are SQLite's open files, by address.
var openFiles sync.Map // uintptr: *openFile

type openFile struct {
	disk *disk
	path string
	real *sqlite3.Tsqlite3_io_methods
}

var disks atomic.Int32

// call converts the address of a C function to a Go function.
func call[F any](pointer uintptr) F { return *(*F)(unsafe.Pointer(&struct{ p uintptr }{pointer})) }

// at returns the value at an address outside of Go's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer is the opposite of call.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	deleteFunc   = func(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
	readFunc     = func(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32
	writeFunc    = func(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// registered keeps the disks that SQLite has pointers to.
var registered sync.Map // uintptr of a vfs: *disk

func newDisk(t testing.TB) *disk {
	t.Helper()
	// The driver prepares SQLite when it first opens something.
	db, err := sql.Open("sqlite", ":memory:")
	if err == nil {
		err = errors.Join(db.Ping(), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	tls := libc.NewTLS()
	t.Cleanup(tls.Close)
	d := &disk{name: fmt.Sprint("disk", disks.Add(1)), files: map[string]*diskFile{}, rand: rand.New(rand.NewPCG(1, 2))}
	d.real = at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	vfs := *d.real
	name, err := libc.CString(d.name)
	if err != nil {
		t.Fatal(err)
	}
	vfs.FpNext, vfs.FzName = 0, name
	vfs.FxOpen, vfs.FxDelete = pointer[openFunc](diskOpen), pointer[deleteFunc](diskDelete)
	address := allocate(tls, vfs)
	registered.Store(address, d)
	if code := sqlite3.Xsqlite3_vfs_register(tls, address, 0); code != sqlite3.SQLITE_OK {
		t.Fatalf("register the file system: code %d", code)
	}
	t.Cleanup(func() { sqlite3.Xsqlite3_vfs_unregister(tls, address) })
	return d
}

func diskOpen(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	found, _ := registered.Load(vfs)
	d := found.(*disk)
	path := ""
	if name != 0 {
		path = libc.GoString(name)
	}
	content, err := os.ReadFile(path)
	if code := call[openFunc](d.real.FxOpen)(tls, vfs, name, file, flags, outFlags); code != sqlite3.SQLITE_OK || path == "" {
		return code
	}
	d.mu.Lock()
	if d.files[path] == nil {
		d.files[path] = &diskFile{synced: content, certain: err == nil}
	}
	d.mu.Unlock()
	f := at[sqlite3.Tsqlite3_file](file)
	found, known := d.methods.Load(f.FpMethods)
	if !known {
		m := &methods{real: at[sqlite3.Tsqlite3_io_methods](f.FpMethods)}
		ours := *m.real
		ours.FxClose, ours.FxRead, ours.FxWrite = pointer[closeFunc](diskClose), pointer[readFunc](diskRead), pointer[writeFunc](diskWriteAt)
		ours.FxTruncate, ours.FxSync = pointer[truncateFunc](diskTruncate), pointer[syncFunc](diskSync)
		m.ours = allocate(tls, ours)
		found, _ = d.methods.LoadOrStore(f.FpMethods, m)
	}
	m := found.(*methods)
	openFiles.Store(file, &openFile{disk: d, path: path, real: m.real})
	f.FpMethods = m.ours
	return sqlite3.SQLITE_OK
}

func fileAt(file uintptr) *openFile {
	found, _ := openFiles.Load(file)
	return found.(*openFile)
}

func diskClose(tls *libc.TLS, file uintptr) int32 {
	f := fileAt(file)
	f.fails(opClose)
	openFiles.Delete(file)
	return call[closeFunc](f.real.FxClose)(tls, file)
}

func diskDelete(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32 {
	found, _ := registered.Load(vfs)
	d := found.(*disk)
	code := call[deleteFunc](d.real.FxDelete)(tls, vfs, name, syncDir)
	if code == sqlite3.SQLITE_OK {
		d.mu.Lock()
		delete(d.files, libc.GoString(name))
		d.mu.Unlock()
	}
	return code
}

// fails returns the code with which an operation must fail, 0 if it must not.
func (f *openFile) fails(op diskOp) int32 {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.fail == nil {
		return 0
	}
	return f.disk.fail(op, f.path)
}

func (f *openFile) note(w diskWrite) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	file := f.disk.files[f.path]
	file.since = append(file.since, w)
}

func diskRead(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32 {
	f := fileAt(file)
	f.disk.mu.Lock()
	f.disk.reads++
	f.disk.mu.Unlock()
	return call[readFunc](f.real.FxRead)(tls, file, buf, n, off)
}

func diskWriteAt(tls *libc.TLS, file, buf uintptr, n int32, off int64) int32 {
	f := fileAt(file)
	data := append([]byte{}, at[libc.RawMem](buf)[:n]...)
	if code := f.fails(opWrite); code != 0 {
		half := n / 2 // a failed write may write a part
		if call[writeFunc](f.real.FxWrite)(tls, file, buf, half, off) == sqlite3.SQLITE_OK {
			f.note(diskWrite{off, data[:half]})
		}
		return code
	}
	code := call[writeFunc](f.real.FxWrite)(tls, file, buf, n, off)
	if code == sqlite3.SQLITE_OK {
		f.note(diskWrite{off, data})
	}
	return code
}

func diskTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	f := fileAt(file)
	if code := f.fails(opTruncate); code != 0 {
		return code
	}
	code := call[truncateFunc](f.real.FxTruncate)(tls, file, size)
	if code == sqlite3.SQLITE_OK {
		f.note(diskWrite{off: size})
	}
	return code
}

func diskSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := fileAt(file)
	if code := f.fails(opSync); code != 0 {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		file := f.disk.files[f.path]
		file.synced, file.since = file.lost(f.disk.rand, []float64{0, 0.5}[f.disk.rand.IntN(2)]), nil
		return code
	}
	f.disk.mu.Lock()
	n := len(f.disk.files[f.path].since) // writes during the sync are not certain
	f.disk.mu.Unlock()
	code := call[syncFunc](f.real.FxSync)(tls, file, flags)
	if code == sqlite3.SQLITE_OK {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		d := f.disk.files[f.path]
		for _, w := range d.since[:n] {
			d.synced = w.apply(d.synced)
		}
		d.since, d.certain = append([]diskWrite{}, d.since[n:]...), true
	}
	return code
}

func (w diskWrite) apply(content []byte) []byte {
	if w.data == nil {
		if int64(len(content)) > w.off {
			return content[:w.off]
		}
		return append(content, make([]byte, w.off-int64(len(content)))...)
	}
	if missing := w.off + int64(len(w.data)) - int64(len(content)); missing > 0 {
		content = append(content, make([]byte, missing)...)
	}
	copy(content[w.off:], w.data)
	return content
}

// failing makes operations fail: f returns the code, or 0. With nil the disk works.
func (d *disk) failing(f func(op diskOp, path string) int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// failAll makes all operations of a kind fail with a code.
func (d *disk) failAll(op diskOp, code int32) {
	d.failing(func(o diskOp, _ string) int32 {
		if o == op {
			return code
		}
		return 0
	})
}

// readsOf returns how often SQLite reads from its files in f.
func (d *disk) readsOf(f func()) int {
	d.mu.Lock()
	before := d.reads
	d.mu.Unlock()
	f()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reads - before
}

const sector = 512

// lost returns the content of a file on disk if about keep (0 to 1) of its unsynced
// writes were written.
func (f *diskFile) lost(r *rand.Rand, keep float64) []byte {
	content := slices.Clone(f.synced)
	for _, w := range f.since {
		if r.Float64() >= keep {
			continue
		}
		if w.data == nil {
			content = w.apply(content)
			continue
		}
		for at := 0; at < len(w.data); at += sector {
			if r.Float64() < 0.5+keep/2 {
				content = diskWrite{w.off + int64(at), w.data[at:min(at+sector, len(w.data))]}.apply(content)
			}
		}
	}
	return content
}

// powerLoss writes into a new directory what the disk may hold after a loss of power
// at this moment.
func (d *disk) powerLoss(t testing.TB, r *rand.Rand) string {
	t.Helper()
	dir := t.TempDir()
	d.mu.Lock()
	defer d.mu.Unlock()
	keep := []float64{0, 0.2, 0.5, 0.9, 1}[r.IntN(5)]
	for _, path := range slices.Sorted(maps.Keys(d.files)) { // the same choices for the same seed
		file := d.files[path]
		if strings.HasSuffix(path, "-shm") || !file.certain && r.Float64() >= keep {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), file.lost(r, keep), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
