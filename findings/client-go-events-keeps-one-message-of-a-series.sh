#!/usr/bin/env bash
# client-go 0.37.2, tools/events: of events that differ in nothing but the message only the first message is stored, and of three
# such events two are counted.
#
# The guess: events with different messages are different events, as in tools/record, or the series shows the newest message. Seen:
# the message is no part of the key of a series. The second event becomes a patch that sets the count to 2 and has no message; for
# the third one nothing is sent at all. Its count waits in memory for a refresh every 30 minutes, and a broadcaster that is shut
# down before forgets it.
#
# Why it matters: "volume a is full", "volume b is full" and "volume c is full" are, for who reads them, two occurrences on volume a.
# What makes events different has to be in the reason or the action.
set -euo pipefail
folder="$(mktemp -d)"
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
cat >main.go <<'PROGRAM'
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
)

type sink struct {
	mutex sync.Mutex
	seen  []string
}

func (s *sink) add(text string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.seen = append(s.seen, text)
}

func (s *sink) Create(_ context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	s.add("create: " + event.Note)
	return event, nil
}

func (s *sink) Update(_ context.Context, event *eventsv1.Event) (*eventsv1.Event, error) {
	s.add("update: " + event.Note)
	return event, nil
}

func (s *sink) Patch(_ context.Context, event *eventsv1.Event, _ []byte) (*eventsv1.Event, error) {
	s.add(fmt.Sprintf("patch: count %d of %s", event.Series.Count, event.Note))
	return event, nil
}

func main() {
	store := &sink{}
	broadcaster := events.NewBroadcaster(store)
	ctx, cancel := context.WithCancel(context.Background())
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		panic(err)
	}
	recorder := broadcaster.NewRecorder(scheme.Scheme, "example.com/volumes")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "1"}}
	for _, volume := range []string{"a", "b", "c"} {
		recorder.Eventf(pod, nil, corev1.EventTypeWarning, "VolumeFull", "Writing", "volume %s is full", volume)
		// So that they come in this order.
		time.Sleep(500 * time.Millisecond)
	}
	broadcaster.Shutdown()
	cancel()
	time.Sleep(time.Second)
	store.mutex.Lock()
	fmt.Printf("%q\n", store.seen)
}
PROGRAM
go mod init example.com/finding >/dev/null 2>&1
go get k8s.io/api@v0.37.2 k8s.io/apimachinery@v0.37.2 k8s.io/client-go@v0.37.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
seen="$(go run . 2>/dev/null)"
expected='["create: volume a is full" "patch: count 2 of volume a is full"]'
echo "volume a, b and c are full, client-go 0.37.2, tools/events: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
