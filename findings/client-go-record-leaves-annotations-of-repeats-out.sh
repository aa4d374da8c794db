#!/usr/bin/env bash
# client-go 0.37.2, tools/record: annotations of an event that comes again are not stored, and do not keep it apart.
#
# The guess: `AnnotatedEventf` stores its annotations, as its name says. Seen: it does so the first time. For the same message on
# the same object the next calls send a patch of the count, the time and the message only. Annotations that differ do not make another event.
#
# Why it matters: what is put there per occurrence, the id of a trace, a request or a run, is that of the first occurrence for as
# long as the event lives, while time and count beside it are those of the last.
set -euo pipefail
folder="$(mktemp -d)"
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
cat >main.go <<'PROGRAM'
package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
)

type sink chan string

func (s sink) Create(event *corev1.Event) (*corev1.Event, error) {
	s <- fmt.Sprintf("create: count %d, trace %s", event.Count, event.Annotations["trace"])
	return event, nil
}

func (s sink) Update(event *corev1.Event) (*corev1.Event, error) {
	s <- "update"
	return event, nil
}

func (s sink) Patch(event *corev1.Event, data []byte) (*corev1.Event, error) {
	var patch map[string]any
	if err := json.Unmarshal(data, &patch); err != nil {
		return nil, err
	}
	fields := []string{}
	for field := range patch {
		fields = append(fields, field)
	}
	sort.Strings(fields)
	s <- fmt.Sprintf("patch: count %v, only %s", patch["count"], strings.Join(fields, " "))
	// What an API server would answer.
	patched := event.DeepCopy()
	patched.Annotations = map[string]string{"trace": "1"}
	return patched, nil
}

func main() {
	store := make(sink, 10)
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(store)
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "example"})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "1"}}
	seen := []string{}
	for _, trace := range []string{"1", "2"} {
		annotations := map[string]string{"trace": trace}
		recorder.AnnotatedEventf(pod, annotations, corev1.EventTypeWarning, "Failed", "connection refused")
		select {
		case text := <-store:
			seen = append(seen, text)
		case <-time.After(10 * time.Second):
			seen = append(seen, "nothing")
		}
	}
	fmt.Printf("%q\n", seen)
}
PROGRAM
go mod init example.com/finding >/dev/null 2>&1
go get k8s.io/api@v0.37.2 k8s.io/apimachinery@v0.37.2 k8s.io/client-go@v0.37.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
seen="$(go run . 2>/dev/null)"
expected='["create: count 1, trace 1" "patch: count 2, only count lastTimestamp message"]'
echo "the same message with trace 1 and 2, client-go 0.37.2, tools/record: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
