// A bare prober of net/http, as one writes it in Go: a goroutine and a ticker for each target.
// Settings: {"urls": [...], "period": 10}. On each further line it says what it did so far.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

var answered, failed atomic.Int64
var client = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{IdleConnTimeout: 90 * time.Second}}

func ask(url string) {
	if response, err := client.Get(url); err != nil {
		failed.Add(1)
	} else {
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		answered.Add(1)
	}
}

func watch(url string, phase, period time.Duration) {
	time.Sleep(phase)
	ask(url)
	for range time.Tick(period) {
		ask(url)
	}
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	var given struct {
		URLs   []string
		Period float64
	}
	settings, _ := lines.ReadBytes('\n')
	json.Unmarshal(settings, &given)
	period := time.Duration(given.Period * float64(time.Second))
	for i, url := range given.URLs {
		go watch(url, time.Duration(i)*period/time.Duration(len(given.URLs)), period)
	}
	began := time.Now()
	fmt.Printf("{\"asking\": %d}\n", len(given.URLs))
	for _, err := lines.ReadBytes('\n'); err == nil; _, err = lines.ReadBytes('\n') {
		var used syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		var size, pages int
		statm, _ := os.ReadFile("/proc/self/statm")
		fmt.Sscan(string(statm), &size, &pages)
		json.NewEncoder(os.Stdout).Encode(map[string]any{"time": time.Since(began).Seconds(), "rss": pages * os.Getpagesize() / 1024,
			"cpu": time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds(), "answered": answered.Load(), "failed": failed.Load()})
	}
}
