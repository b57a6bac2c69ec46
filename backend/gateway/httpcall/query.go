package httpcall

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// ParseQuery reads the query of a request that takes the named parameters. A request that
// is only partly understood must not run: so it refuses a query that does not parse,
// other names, bytes that are not UTF-8, and a parameter that comes twice, except key.
// The error is a *host.Fault, malformed.
func ParseQuery(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, host.Faultf(wire.CodeMalformed, `the query does not parse: %v; write "%%" as %%25, ";" as %%3B and "&" as %%26`, err)
	}
	for name, values := range query {
		switch {
		case !slices.Contains(names, name):
			return nil, host.Faultf(wire.CodeMalformed, "there is no parameter %.64q; %s", name, parameters(names))
		case len(values) > 1 && name != "key":
			return nil, host.Faultf(wire.CodeMalformed, "the parameter %s is there %d times; write it once", name, len(values))
		}
		for _, v := range values {
			if !utf8.ValidString(v) {
				return nil, host.Faultf(wire.CodeMalformed, "the parameter %s is not UTF-8", name)
			}
		}
	}
	return query, nil
}

func parameters(names []string) string {
	if len(names) == 0 {
		return "this address takes none"
	}
	return "this address takes " + strings.Join(names, ", ")
}

// boolParameter reads a parameter that is true or false; missing stands for its value
// if it is not there.
func boolParameter(query url.Values, name string, missing bool) (bool, error) {
	values := query[name]
	switch {
	case len(values) == 0:
		return missing, nil
	case values[0] == "true":
		return true, nil
	case values[0] == "false":
		return false, nil
	}
	return false, host.Faultf(wire.CodeMalformed, "%s is true or false, not %.64q", name, values[0])
}

// pathValue returns a part of the path.
func pathValue(r *http.Request, name string) (string, error) {
	v := chi.URLParam(r, name)
	if r.URL.RawPath != "" { // else it is unescaped already
		u, err := url.PathUnescape(v)
		if err != nil {
			return "", host.Faultf(wire.CodeMalformed, "the path does not parse: %v", err)
		}
		v = u
	}
	if !utf8.ValidString(v) {
		return "", host.Faultf(wire.CodeMalformed, "the path is not UTF-8")
	}
	return v, nil
}
