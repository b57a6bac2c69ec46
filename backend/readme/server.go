package readme

import (
	"context"
	"net/http"

	"github.com/troupe-dev/troupe/backend/server"
)

func serve(ctx context.Context) error {
	srv, err := server.New(Registry, server.Options{Data: "data"})
	if err != nil {
		return err
	}
	return srv.Run(ctx, ":8080")
}

func mount(srv *server.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", srv.Handler())
	mux.Handle("GET /healthz", srv.Health())
	mux.Handle("/", http.FileServer(http.Dir("public")))
	return mux
}
