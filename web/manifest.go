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

	TouchIcon string `json:"touchIcon"` // for home screens, 180 pixels wide
	AppIcon   string `json:"appIcon"`   // of the installed app, 512 pixels wide, without corners
	Favicon   string `json:"favicon"`   // for browsers that do not know SVG
	Social    string `json:"social"`    // shown beside links to the page

	DocsScript string   `json:"docsScript"` // of the documentation's pages
	DocsStyles []string `json:"docsStyles"`
}

// below returns the manifest with URLs below a path.
func (m Manifest) below(base string) Manifest {
	for _, address := range []*string{&m.Script, &m.Theme, &m.Icon, &m.DocsScript, &m.TouchIcon, &m.AppIcon, &m.Favicon, &m.Social} {
		*address = base + *address
	}
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

// webApp is a web app manifest: what an installed page is called and looks like.
type webApp struct {
	Name            string    `json:"name"`
	ShortName       string    `json:"short_name"`
	Description     string    `json:"description"`
	StartURL        string    `json:"start_url"`
	Scope           string    `json:"scope"`
	Display         string    `json:"display"`
	BackgroundColor string    `json:"background_color"`
	ThemeColor      string    `json:"theme_color"`
	Icons           []webIcon `json:"icons"`
}

type webIcon struct {
	Src     string `json:"src"`
	Sizes   string `json:"sizes"`
	Type    string `json:"type"`
	Purpose string `json:"purpose,omitempty"`
}

// app returns the web app manifest of a page below base.
func (m Manifest) app(base string) webApp {
	return webApp{
		Name: "Troupe", ShortName: "Troupe", Description: description,
		StartURL: base + "/", Scope: base + "/", Display: "standalone",
		BackgroundColor: "#fbf8f3", ThemeColor: "#8f1d3c",
		Icons: []webIcon{
			{Src: m.Icon, Sizes: "any", Type: "image/svg+xml"},
			{Src: m.AppIcon, Sizes: "512x512", Type: "image/png", Purpose: "maskable"},
		},
	}
}
