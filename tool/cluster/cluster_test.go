package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asNode is the variable that makes the test's binary a node; its value is what the node does
// at SIGTERM.
const asNode = "TROUPE_TEST_CLUSTER_NODE"

func TestMain(m *testing.M) {
	if how := os.Getenv(asNode); how != "" {
		fmt.Fprintln(os.Stderr, fakeNode(how, os.Args[1:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// fakeNode answers with its name, and looks like a node of a cluster.
func fakeNode(how string, args []string) error {
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	value := map[string]*string{}
	for _, name := range []string{"addr", "data", "log", "cluster", "node", "cluster-listen", "cluster-peers"} {
		value[name] = flags.String(name, "", "")
	}
	flags.Bool("metrics", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	if how == "ends" {
		go func() {
			<-signals
			os.Exit(0)
		}()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "troupe_ready 1\ntroupe_cluster_partitions_owned 8\n")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, *value["node"], " ", *value["cluster"], " ", *value["data"], " ", *value["cluster-listen"], " ",
			*value["cluster-peers"], " ", len(os.Getenv("TROUPE_CLUSTER_SECRET")) >= 26)
	})
	l, err := net.Listen("tcp", *value["addr"])
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "says something")
	fmt.Println("Troupe is at http://" + l.Addr().String())
	return http.Serve(l, mux)
}

// session is a cluster that a test runs.
type session struct {
	t     *testing.T
	keys  chan byte
	lines said
	heard []string
	done  chan error
	app   string
}

// said has the lines that a cluster says.
type said chan string

func (s said) Write(b []byte) (int, error) {
	s <- strings.TrimSuffix(string(b), "\n")
	return len(b), nil
}

// start runs a cluster of three nodes.
func start(t *testing.T, how string) *session {
	s := &session{t: t, keys: make(chan byte), lines: make(said, 1000), done: make(chan error, 1)}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := options{
		addr: "127.0.0.1:0", nodes: 3, routes: "127.0.0.1:6222", data: "data", binary: binary, env: []string{asNode + "=" + how},
	}
	go func() {
		err := run(o, s.keys, s.lines)
		close(s.lines)
		s.done <- err
	}()
	s.app = s.waitFor(`the app is at (http://\S+):`)[1]
	return s
}

// waitFor reads lines until one matches.
func (s *session) waitFor(pattern string) []string {
	s.t.Helper()
	want := regexp.MustCompile(pattern)
	for line := range s.lines {
		s.heard = append(s.heard, line)
		if m := want.FindStringSubmatch(line); m != nil {
			return m
		}
	}
	s.t.Fatalf("the cluster ended (%v), and never said %s but:\n%s", <-s.done, pattern, strings.Join(s.heard, "\n"))
	return nil
}

func (s *session) press(keys string) {
	for _, key := range []byte(keys) {
		s.keys <- key
	}
}

// answers returns the sorted answers to six requests, without repetition, and from which node they were.
func (s *session) answers() (names, answers []string) {
	s.t.Helper()
	for range 6 {
		response, err := http.Get(s.app)
		if err != nil {
			s.t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
			s.t.Fatalf("got %s %s %v", response.Status, body, err)
		}
		answers = append(answers, string(body))
	}
	slices.Sort(answers)
	answers = slices.Compact(answers)
	for _, answer := range answers {
		name, _, _ := strings.Cut(answer, " ")
		names = append(names, name)
	}
	return names, answers
}

func (s *session) wantNodes(want ...string) {
	s.t.Helper()
	if got, _ := s.answers(); !slices.Equal(got, want) {
		s.t.Errorf("got answers of %v, want those of %v", got, want)
	}
}

// quit presses q n times, and waits until the cluster has ended.
func (s *session) quit(n int) {
	s.t.Helper()
	s.press(strings.Repeat("q", n))
	s.waitFor("all nodes have ended")
	for line := range s.lines { // until run returns
		s.t.Errorf("after its end it said: %s", line)
	}
	if err := <-s.done; err != nil {
		s.t.Error(err)
	}
	for _, line := range s.heard {
		if m := regexp.MustCompile(`n\d is at http://(\S+)`).FindStringSubmatch(line); m != nil {
			if c, err := net.DialTimeout("tcp", m[1], time.Second); err == nil {
				_ = c.Close()
				s.t.Errorf("a node still runs: %s", line)
			}
		}
	}
}

// Keys kill, start, stop and end nodes; requests go to those that are ready, in turn; in the end none runs.
func TestKeys(t *testing.T) {
	s := start(t, "ends")
	s.waitFor("n1: 8 partitions   n2: 8 partitions   n3: 8 partitions")
	const peers = "127.0.0.1:6222,127.0.0.1:6223,127.0.0.1:6224"
	want := []string{
		"n1 embedded data/n1 127.0.0.1:6222 " + peers + " true",
		"n2 embedded data/n2 127.0.0.1:6223 " + peers + " true",
		"n3 embedded data/n3 127.0.0.1:6224 " + peers + " true",
	}
	if _, got := s.answers(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if all := strings.Join(s.heard, "\n"); !strings.Contains(all, "n2 | says something") {
		t.Errorf("what nodes log is missing in:\n%s", all)
	}
	s.press("2")
	s.waitFor("n2 has ended: signal: killed")
	s.waitFor("n2: down")
	s.wantNodes("n1", "n3")
	s.press("s2") // it does not run
	s.waitFor("press its number alone")
	s.press("2")
	s.waitFor("n1: 8 partitions   n2: 8 partitions   n3: 8 partitions")
	s.wantNodes("n1", "n2", "n3")
	s.press("t1")
	s.waitFor("n1 has ended$")
	s.waitFor("n1: down")
	s.press("s3")
	s.waitFor("n3: stopped")
	s.wantNodes("n2")
	s.press("s3")
	s.waitFor("n3: 8 partitions")
	s.wantNodes("n2", "n3")
	s.press("s3")
	s.waitFor("n3: stopped")
	s.press("x")
	s.waitFor("keys: 1-3")
	s.quit(1)
}

// Nodes that do not end are killed when q is pressed again.
func TestQuitTwice(t *testing.T) {
	s := start(t, "stays")
	s.waitFor("n1: 8 partitions   n2: 8 partitions   n3: 8 partitions")
	s.quit(2)
}

// A cluster that cannot start says why, and leaves nothing behind.
func TestCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		name string
		o    options
		want string
	}{
		{"no such binary", options{addr: "127.0.0.1:0", nodes: 1, routes: "127.0.0.1:6222", binary: "/no/such/binary"}, "no such file"},
		{"a taken address", options{addr: taken.Addr().String(), nodes: 1, routes: "127.0.0.1:6222"}, "in use"},
		{"no port", options{addr: "localhost", nodes: 1, routes: "127.0.0.1:6222"}, "missing port"},
		{"too many nodes", options{addr: "127.0.0.1:0", nodes: 10, routes: "127.0.0.1:6222"}, "1 to 9"},
	} {
		if err := run(test.o, nil, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestReadKeys(t *testing.T) {
	keys := make(chan byte, 9)
	readKeys(strings.NewReader("1s\x03"), keys)
	close(keys)
	var got []byte
	for key := range keys {
		got = append(got, key)
	}
	if string(got) != "1sq" {
		t.Errorf("got %q, want 1sq", got)
	}
}
