// Package httpcall serves single calls to actors over HTTP: actions, creations and
// look-ups (call.go, query.go). Its Responder reads bodies and writes errors for every HTTP
// endpoint of the gateway (respond.go).
package httpcall
