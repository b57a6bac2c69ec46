package attack

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

var bystanderOf = flag.String("attack.bystander", "", "used by the tests: be a bystander of the server at this address")

// TestBystander is the process of a watch, and does nothing else. A bystander in the process of the
// attackers would wait for their garbage collector, and be told that the server is slow.
func TestBystander(t *testing.T) {
	if *bystanderOf == "" {
		return
	}
	b := (&server{t: t, addr: *bystanderOf}).bystander()
	marks := make(chan struct{})
	go func() {
		defer close(marks)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			marks <- struct{}{}
		}
	}()
	var all []time.Duration
	for {
		all = append(all, b.call())
		select {
		case _, more := <-marks:
			if !more {
				return
			}
			slices.Sort(all)
			fmt.Println(int64(all[len(all)*99/100]), int64(all[len(all)-1]))
			all = all[:0]
		case <-time.After(15 * time.Millisecond): // to keep to the rate of a socket
		}
	}
}

// watch is a bystander that calls again and again, in a process of its own.
type watch struct {
	t       *testing.T
	process *exec.Cmd
	marks   io.WriteCloser
	times   *bufio.Reader
}

func (s *server) watch() *watch {
	s.t.Helper()
	w := &watch{t: s.t, process: exec.Command(os.Args[0], "-test.run=^TestBystander$", "-attack.bystander="+s.addr)}
	w.process.Stderr = os.Stderr
	times, err := w.process.StdoutPipe()
	if err == nil {
		w.marks, err = w.process.StdinPipe()
	}
	if err == nil {
		err = w.process.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	w.times = bufio.NewReader(times)
	s.t.Cleanup(func() { _ = w.process.Process.Kill() })
	return w
}

// mark returns the 99th percentile of the bystander's calls since the mark before, and the worst.
func (w *watch) mark() (p99, worst time.Duration) {
	w.t.Helper()
	_, err := fmt.Fprintln(w.marks)
	if err == nil {
		_, err = fmt.Fscanln(w.times, &p99, &worst)
	}
	if err != nil {
		w.t.Fatalf("the bystander's process ended: %v", err)
	}
	return p99, worst
}

// end ends the bystander. It reports calls that failed.
func (w *watch) end() {
	w.t.Helper()
	_ = w.marks.Close()
	rest, _ := io.ReadAll(w.times)
	if err := w.process.Wait(); err != nil {
		w.t.Errorf("the bystander: %v\n%s", err, rest)
	}
}
