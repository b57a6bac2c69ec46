module github.com/troupe-dev/troupe

go 1.26.0

require (
	github.com/a-h/templ v0.3.977 // indirect
	github.com/coder/websocket v1.8.15 // indirect
	github.com/evanw/esbuild v0.28.2 // indirect
	github.com/go-chi/chi/v5 v5.5.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)
