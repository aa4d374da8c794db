// Records events with one of client-go's two recorders, as the torture run tells it to: the peer that Tidings is measured
// against. It answers on standard output, one JSON object a line, and ends in order when its standard input closes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
)

func cpuMillis() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

// paced is a sink that frees a place in the queue after each event that was stored.
type paced struct {
	record.EventSink
	places chan struct{}
}

func (s paced) Create(event *corev1.Event) (*corev1.Event, error) {
	stored, err := s.EventSink.Create(event)
	// An event whose request failed is tried again.
	if err == nil {
		<-s.places
	}
	return stored, err
}

func say(phase string, asked int) {
	line, _ := json.Marshal(map[string]any{"phase": phase, "asked": asked, "cpuMillis": cpuMillis()})
	fmt.Println(string(line))
}

func main() {
	recorder := flag.String("recorder", "record", "record (core/v1) or events (events.k8s.io/v1)")
	kubeconfig := flag.String("kubeconfig", "", "the kubeconfig")
	user := flag.String("context", "user", "the context")
	namespace := flag.String("namespace", "default", "where the objects are")
	work := flag.String("work", "objects", "objects: an object for each event; same: one event again and again; messages: one object, a message for each event")
	count := flag.Int("count", 0, "how many events")
	interval := flag.Duration("interval", 0, "the pause between two events")
	pending := flag.Int("pending", 0, "with record and an object for each event: the most events that wait for the server, because beyond 1,000 the recorder drops them")
	size := flag.Int("size", 0, "bytes of data that each event carries, as an annotation")
	flag.Parse()

	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: *kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: *user},
	).ClientConfig()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Without the client's own limit, so that what is measured is the recorder.
	config.QPS = -1
	client := kubernetes.NewForConfigOrDie(config)

	var annotations map[string]string
	if *size > 0 {
		annotations = map[string]string{"torture.tidings.dev/data": strings.Repeat("x", *size)}
	}
	var emit func(object *corev1.ObjectReference, message string)
	var shutdown func()
	var places chan struct{}
	switch *recorder {
	case "record":
		broadcaster := record.NewBroadcaster()
		var sink record.EventSink = &typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")}
		if *pending > 0 {
			places = make(chan struct{}, *pending)
			sink = paced{sink, places}
		}
		broadcaster.StartRecordingToSink(sink)
		r := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "torture"})
		emit = func(object *corev1.ObjectReference, message string) {
			r.AnnotatedEventf(object, annotations, corev1.EventTypeNormal, "Tortured", "%s", message)
		}
		shutdown = broadcaster.Shutdown
	case "events":
		broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
		if err := broadcaster.StartRecordingToSinkWithContext(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		r := broadcaster.NewRecorder(scheme.Scheme, "torture")
		emit = func(object *corev1.ObjectReference, message string) {
			r.Eventf(object, nil, corev1.EventTypeNormal, "Tortured", "Torture", "%s", message)
		}
		shutdown = broadcaster.Shutdown
	default:
		fmt.Fprintln(os.Stderr, "no such recorder")
		os.Exit(2)
	}

	say("ready", 0)
	for n := 1; n <= *count; n++ {
		name, message, uid := "object", "it happened", "000000000000"
		switch *work {
		case "objects":
			name = fmt.Sprintf("object-%d", n)
			uid = fmt.Sprintf("%012d", n)
		case "messages":
			message = fmt.Sprintf("it happened in way %d", n)
		}
		if places != nil {
			places <- struct{}{}
		}
		emit(&corev1.ObjectReference{
			APIVersion: "torture.tidings.dev/v1",
			Kind:       "Thing",
			Name:       name,
			Namespace:  *namespace,
			UID:        types.UID("00000000-0000-4000-8000-" + uid),
		}, message)
		if *interval > 0 {
			time.Sleep(*interval)
		}
	}
	say("emitted", *count)
	_, _ = io.Copy(io.Discard, os.Stdin)
	say("closing", *count)
	shutdown()
	say("closed", *count)
}
