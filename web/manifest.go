package web

import (
	"encoding/json"
	"fmt"
	"io/fs"
)

// ManifestName is the file in the built UI that names the others.
const ManifestName = "manifest.json"

// Manifest has the URLs of the built files that the page needs. The build writes it.
type Manifest struct {
	Script string   `json:"script"` // the app, an ES module
	Theme  string   `json:"theme"`  // a script that runs before the first paint
	Styles []string `json:"styles"`
	Icon   string   `json:"icon"`

	DocsScript string   `json:"docsScript"` // of the documentation's pages
	DocsStyles []string `json:"docsStyles"`
}

// below returns the manifest with URLs below a path.
func (m Manifest) below(base string) Manifest {
	m.Script, m.Theme, m.Icon, m.DocsScript = base+m.Script, base+m.Theme, base+m.Icon, base+m.DocsScript
	m.Styles, m.DocsStyles = allBelow(base, m.Styles), allBelow(base, m.DocsStyles)
	return m
}

func allBelow(base string, addresses []string) []string {
	below := make([]string, len(addresses))
	for i, address := range addresses {
		below[i] = base + address
	}
	return below
}

// readManifest returns nil, without an error, if the UI is not built.
func readManifest(dist fs.FS) (*Manifest, error) {
	data, err := fs.ReadFile(dist, ManifestName)
	if isNotExist(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the UI's manifest: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("read the UI's manifest: %w", err)
	}
	if m.Script == "" || len(m.Styles) == 0 {
		return nil, fmt.Errorf("the UI's manifest names no script or no style: %s", data)
	}
	return &m, nil
}
