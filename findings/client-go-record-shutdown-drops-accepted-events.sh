#!/usr/bin/env bash
# client-go 0.37.2, tools/record: `Shutdown()` of a broadcaster whose API server is slow throws accepted events away; `Stop()` of
# what `StartRecordingToSink` returned delivers them.
#
# The guess: `Shutdown`, the method that a program calls at its end, writes what was recorded and waits for it, or at least loses
# no more than stopping the watch does. Seen: 200 ms after 20 events were recorded, with a server that takes 50 ms for each, it
# returns at once and cancels the context of all requests that are to come: only the first few events arrive. `Stop` returns at
# once as well, and all 20 arrive while the process lives.
#
# Why it matters: the last events of a program tell why it ended. Who wants them has to stop the watch, to wait by other means
# until the queue is empty, and only then to shut the broadcaster down.
set -euo pipefail
folder="$(mktemp -d)"
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
cat >main.go <<'PROGRAM'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
)

const events = 20

func stored(isShutdown bool) int32 {
	var count atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		time.Sleep(50 * time.Millisecond)
		count.Add(1)
		answer.Header().Set("Content-Type", request.Header.Get("Content-Type"))
		answer.WriteHeader(http.StatusCreated)
		_, _ = answer.Write(body)
	}))
	defer server.Close()
	client := typed.NewForConfigOrDie(&rest.Config{Host: server.URL, QPS: 1000, Burst: 1000})
	broadcaster := record.NewBroadcaster()
	watch := broadcaster.StartRecordingToSink(&typed.EventSinkImpl{Interface: client.Events("")})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "example"})
	for n := range events {
		name := fmt.Sprintf("web-%d", n)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "1"}}
		recorder.Event(pod, corev1.EventTypeNormal, "Stopping", "the program ends")
	}
	// All are in the queue of the watch, and the first ones are stored.
	time.Sleep(200 * time.Millisecond)
	if isShutdown {
		broadcaster.Shutdown()
	} else {
		watch.Stop()
	}
	time.Sleep(4 * time.Second)
	return count.Load()
}

func main() {
	afterShutdown, afterStop := stored(true), stored(false)
	fmt.Printf("fewer than 10 with Shutdown: %t, with Stop: %d of %d\n", afterShutdown < 10, afterStop, events)
}
PROGRAM
go mod init example.com/finding >/dev/null 2>&1
go get k8s.io/api@v0.37.2 k8s.io/apimachinery@v0.37.2 k8s.io/client-go@v0.37.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
seen="$(go run . 2>/dev/null)"
expected='fewer than 10 with Shutdown: true, with Stop: 20 of 20'
echo "client-go 0.37.2, tools/record: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
