package jetstream

import (
	"container/list"
	"sync"

	"github.com/troupe-dev/troupe/backend/store/internal/pages"
)

// directories keeps the pages that lead to others, those that were used lately, so that an item
// of a large table is one read. A page never changes, and no two have the same name: what is kept
// is never out of date. All methods may be called at the same time.
type directories struct {
	most int // bytes

	mu    sync.Mutex
	bytes int
	order list.List // of directory, the one that was used last first
	pages map[directoryKey]*list.Element
}

type directoryKey struct {
	actor string
	page  pages.Name
}

type directory struct {
	directoryKey
	data []byte
}

// directoryBytes is how much is kept. A directory of 256 pages takes about 10 KB.
const directoryBytes = 8 << 20

func newDirectories() *directories {
	return &directories{most: directoryBytes, pages: map[directoryKey]*list.Element{}}
}

// get returns a page that is kept, nil if there is none.
func (d *directories) get(actor string, page pages.Name) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.pages[directoryKey{actor, page}]
	if at == nil {
		return nil
	}
	d.order.MoveToFront(at)
	return at.Value.(directory).data
}

// put keeps a page if it is a directory.
func (d *directories) put(actor string, page pages.Name, data []byte) {
	if len(data) > d.most || !pages.IsDirectory(page, data) {
		return
	}
	key := directoryKey{actor, page}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pages[key] != nil {
		return
	}
	d.pages[key] = d.order.PushFront(directory{key, data})
	for d.bytes += len(data); d.bytes > d.most; {
		last := d.order.Back()
		gone := d.order.Remove(last).(directory)
		delete(d.pages, gone.directoryKey)
		d.bytes -= len(gone.data)
	}
}
