# Builds one static binary and puts it, and nothing else, into an image:
#   docker build --build-arg VERSION=$(git describe --tags --always) -t troupe .
#   docker run -p 8080:8080 -v troupe:/data troupe
FROM node:22-bookworm-slim AS node
FROM golang:1.26-bookworm AS build
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY package.json package-lock.json ./
COPY clientjs/package.json clientjs/
COPY hooks/package.json hooks/
COPY e2e/package.json e2e/
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY . .
ARG VERSION=docker
RUN make build VERSION=$VERSION && mkdir /data

FROM scratch
COPY --from=build /src/bin/troupe /troupe
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV TROUPE_DATA=/data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["/troupe", "health"]
ENTRYPOINT ["/troupe"]
