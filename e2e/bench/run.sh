#!/bin/sh
# Measures the peers side by side. Needs Go, Node (npm), taskset, two CPUs.
#   ./run.sh            everything (about half an hour)
#   ./run.sh quick      one short round of everything
#   ./run.sh bundle     client bundle sizes only
#   ./run.sh -peers rawcoder,ws -scenarios fanout,rpc -rounds 3     your own choice
# The server is pinned to CPU 0, the generator to CPU 1.
set -eu
cd "$(dirname "$0")"
export npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false

for d in servers/node servers/workerd servers/rivetkit servers/rivetkit22 bundle; do
	[ -d "$d/node_modules" ] || (cd "$d" && npm install --ignore-scripts --no-package-lock) || echo "no $d: its peers will fail" >&2
done
mkdir -p bin out
go build -o bin/bench .
for s in troupe epoll rawcoder gws centrifuge; do go build -o "bin/$s" "./servers/$s"; done

bench() { taskset -c 1 ./bin/bench "$@"; }

case "${1:-all}" in
bundle) (cd bundle && node bundle.mjs) ;;
all | quick)
	rounds=3 opt="-dur 3500ms -warm 700ms"
	[ "${1:-all}" = all ] || rounds=1 opt="-dur 1s -warm 500ms -idle 1000"
	(cd bundle && node bundle.mjs)
	bench $opt -rounds $rounds -scenarios fanout,paced20,rpc -out out/main.json
	bench $opt -rounds 1 -scenarios idle,paced50,paced100,fanout@100 -out out/once.json
	bench $opt -rounds 2 -peers rivetkit,rivetkit22 -scenarios fanout@100,paced2@100,idle@500 -once idle@500 -out out/rivetkit.json
	bench $opt -rounds 1 -all -join-timeout 180s -peers rivetkit -scenarios fanout -out out/rivetkit1000.json
	./bin/bench -render out/main.json,out/once.json,out/rivetkit.json,out/rivetkit1000.json | tee out/results.md
	cat out/main.json out/once.json out/rivetkit.json out/rivetkit1000.json | grep '^{' | sed 's/,$//' >out/results.jsonl
	;;
*) bench "$@" ;;
esac
