#!/bin/sh
# Measures Troupe and its peers. Needs Go, Node (npm), taskset, two CPUs.
#   ./run.sh peers      beside the peers           -> results/peers.jsonl   (14 min)
#   ./run.sh mix        beside the nearest, steadier; part of peers -> results/mix.jsonl (5 min)
#   ./run.sh growth     how the costs grow         -> results/growth.jsonl  (5 min)
#   ./run.sh pgo        profiles of calls and fan-out, on both stores -> ../../default.pgo (1 min)
#   ./run.sh all        all peers and scenarios    -> out/results.md        (half an hour)
#   ./run.sh bundle     client bundle sizes only
#   ./run.sh -peers rawcoder,ws -scenarios fanout,rpc -rounds 3     your own choice
# The server is pinned to CPU 0 (with -cpus 2 it has both), the generator to CPU 1.
set -eu
cd "$(dirname "$0")"
export npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false

go_peers() { for s in epoll rawcoder gws centrifuge; do go build -o "bin/$s" "./servers/$s"; done; }

peers() {
	go_peers
	for d in servers/node servers/workerd servers/rivetkit servers/rivetkit22 bundle; do
		[ -d "$d/node_modules" ] || (cd "$d" && npm install --ignore-scripts --no-package-lock) || echo "no $d: its peers will fail" >&2
	done
	# RivetKit 2.2 keeps state with a native module on Node before 22.5.
	[ -d servers/rivetkit22/node_modules/better-sqlite3/build ] || (cd servers/rivetkit22 && npm rebuild better-sqlite3)
}

machine() { # what results were measured on
	sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort | uniq -c
	uname -sr
	go version
	node --version 2>/dev/null || true
	git describe --always
}

keep() { # the results, unless a run failed
	! grep '"error"' "out/$1.jsonl" || exit 1
	mv "out/$1.jsonl" "out/$1.txt" results/
}

bench() { taskset -c 1 ./bin/bench "$@"; }

near=troupe,troupe-sqlite,rawcoder-frame,centrifuge-rec
mix() { bench -warm 500ms -out "$1" -peers $near -base rawcoder-frame,centrifuge-rec -mix rpc,fanout; }

mkdir -p bin out results
go build -o bin/bench .
go build -o bin/troupe ./servers/troupe # without default.pgo, which is for the binary of this repository

case "${1:-peers}" in
peers)
	peers
	rm -f out/peers.jsonl
	machine >out/peers.txt
	opt="-out out/peers.jsonl -warm 700ms"
	mix out/peers.jsonl
	bench $opt -dur 2s -rounds 3 -peers $near -scenarios fanout,paced20,paced50,rpc # one round is enough for the others
	bench $opt -dur 2s -rounds 2 -peers $near -scenarios fanout,rpc -cpus 2
	bench $opt -dur 2s -rounds 1 -peers $near,rivetkit22 -scenarios idle
	bench $opt -dur 2s -rounds 1 -peers rivetkit22 -scenarios fanout,paced20,paced50,rpc
	bench $opt -dur 2s -rounds 1 -peers rivetkit -scenarios rpc
	bench $opt -dur 2s -rounds 1 -peers workerd,ws,socketio,colyseus -scenarios fanout,rpc
	bench $opt -dur 2s -rounds 3 -peers troupe,centrifuge-rec -scenarios connections@1000,targeted@1000,where@1000,resume@100
	keep peers
	;;
mix)
	go_peers
	rm -f out/mix.jsonl
	machine >out/mix.txt
	mix out/mix.jsonl
	keep mix
	;;
pgo)
	rm -rf out/pgo out/pgo.jsonl
	bench -out out/pgo.jsonl -profiles out/pgo -dur 10s -rounds 1 -peers troupe,troupe-sqlite -scenarios rpc,fanout
	! grep '"error"' out/pgo.jsonl || exit 1
	go tool pprof -proto out/pgo/*.pprof >out/default.pgo
	mv out/default.pgo ../../default.pgo
	;;
growth)
	rm -f out/growth.jsonl
	machine >out/growth.txt
	opt="-out out/growth.jsonl -rounds 1 -warm 500ms -dur 2s"
	# A process has at most so many descriptors; 20,000 sockets need a few more.
	most=$(ulimit -Hn)
	[ "$most" != unlimited ] && [ "$most" -lt 20100 ] && most=$((most - 100)) || most=20000
	bench $opt -peers troupe -scenarios "connections@10,connections@100,connections@1000,connections@5000,connections@$most"
	bench $opt -peers troupe -scenarios channels@1,channels@5,channels@20,channels@100,channels@500
	bench $opt -peers troupe -scenarios where@1,where@10,where@100,where@1000
	bench $opt -peers troupe -scenarios log@1,log@100,log@1000,log@10000,log@100000
	bench $opt -peers troupe -scenarios resume@1,resume@10,resume@100,resume@1000,resume@10000,resume@100000
	bench $opt -peers troupe -scenarios state@1000,state@16000,state@128000,state@1000000,state@4000000
	bench $opt -peers troupe -scenarios list@1000,list@16000,list@128000,list@1000000,list@4000000,list@15000000
	bench $opt -peers troupe-sqlite -scenarios actors@1,actors@10,actors@100,actors@1000,actors@10000,actors@100000
	keep growth
	;;
all)
	peers
	rm -f out/all.jsonl
	opt="-out out/all.jsonl -dur 3500ms -warm 700ms"
	(cd bundle && node bundle.mjs)
	bench $opt -rounds 3 -scenarios fanout,paced20,rpc
	bench $opt -rounds 1 -scenarios idle,paced50,paced100,fanout@100
	bench $opt -rounds 2 -peers rivetkit,rivetkit22 -scenarios fanout@100,paced2@100,idle@500 -once idle@500
	bench $opt -rounds 1 -all -join-timeout 180s -peers rivetkit -scenarios fanout
	./bin/bench -render out/all.jsonl | tee out/results.md
	;;
bundle)
	peers
	(cd bundle && node bundle.mjs)
	;;
*)
	peers
	bench "$@"
	;;
esac
