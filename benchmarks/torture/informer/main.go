// Keeps the events of a cluster in PostgreSQL as people do it today: a shared informer whose handlers fill a buffer, which is
// inserted in batches. What the torture run compares an archive with.
package main

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	_ "github.com/lib/pq"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// A batch is inserted when it is full, or after this time.
const batchSize = 500
const linger = 100 * time.Millisecond

// A batch that cannot be inserted is tried so often, and dropped then: the informer goes on meanwhile.
const tries = 5

func insert(db *sql.DB, batch []*corev1.Event) error {
	var statement strings.Builder
	statement.WriteString("insert into informer_events (uid, version, count, event) values ")
	values := make([]any, 0, 4*len(batch))
	for index, event := range batch {
		if index > 0 {
			statement.WriteString(", ")
		}
		n := 4 * index
		fmt.Fprintf(&statement, "($%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4)
		object, err := json.Marshal(event)
		if err != nil {
			return err
		}
		values = append(values, string(event.UID), event.ResourceVersion, event.Count, string(object))
	}
	_, err := db.Exec(statement.String(), values...)
	return err
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the kubeconfig")
	context := flag.String("context", "reader", "the context")
	database := flag.String("database", "", "the URL of the database")
	flag.Parse()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: *kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: *context},
	).ClientConfig()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	db, err := sql.Open("postgres", *database)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	events := make(chan *corev1.Event, 10_000)
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	_, err = factory.Core().V1().Events().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { events <- object.(*corev1.Event) },
		UpdateFunc: func(_, object any) { events <- object.(*corev1.Event) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	factory.Start(make(chan struct{}))

	tick := time.NewTicker(linger)
	batch := make([]*corev1.Event, 0, batchSize)
	for {
		select {
		case event := <-events:
			batch = append(batch, event)
			if len(batch) < batchSize {
				continue
			}
		case <-tick.C:
		}
		if len(batch) == 0 {
			continue
		}
		pause := 100 * time.Millisecond
		for try := 1; try <= tries; try++ {
			if err := insert(db, batch); err == nil {
				break
			} else if try == tries {
				fmt.Fprintln(os.Stderr, "dropped", len(batch), err)
			}
			time.Sleep(pause)
			pause *= 2
		}
		batch = batch[:0]
	}
}
