#!/usr/bin/env bash
# effect 4.1.0, effect/cluster: `RunnerHealth.layerK8s()` takes the health of any pod in the cluster for that of a runner.
#
# The guess: a runner is alive while the pod that it runs in is ready. Seen: without options it lists the running pods of all
# namespaces and looks for the runner's IP address alone. A pod that got the address of a runner that is gone makes it alive. With
# the host's network all pods of a node have one address, and the last one in the list decides: a sick exporter makes a healthy
# runner dead. One running pod without an IP, anywhere, as the API allows, fails the list, and all runners are alive, also those
# whose pods are gone. With a label selector that only the runners have, all four cases are right.
#
# Why it matters: shards of a dead runner are not moved as long as it counts as alive, and those of a living one are taken from it.
# A test cluster with few pods shows none of it. The selector is optional, and has to be given.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Effect, FileSystem, Layer, Logger } from "effect"
import { K8sHttpClient, RunnerAddress, RunnerHealth } from "effect/cluster"
import { HttpClient, HttpClientResponse } from "effect/http"

const pod = (name, app, podIP, isReady) => ({
  metadata: { name, labels: { app } },
  status: {
    phase: "Running",
    podIP,
    hostIP: "10.0.0.1",
    conditions: [
      { type: "Initialized", status: "True", lastTransitionTime: "2026-11-01T10:00:00Z" },
      { type: "Ready", status: isReady ? "True" : "False", lastTransitionTime: "2026-11-01T11:00:00Z" }
    ]
  }
})
const address = "10.1.0.7"
const other = pod("runner-2", "runner", "10.1.0.8", true)
const lists = {
  "its pod is gone": [other],
  "another pod has its address": [other, pod("web", "web", address, true)],
  "a pod has no address": [other, pod("web", "web", undefined, true)],
  "a sick pod on its host": [pod("runner-1", "runner", address, true), pod("exporter", "exporter", address, false)]
}

const isAlive = (pods, options) => {
  // An API server that knows selectors of one label.
  const client = HttpClient.make((request, url) => {
    const selector = url.searchParams.get("labelSelector")?.split("=")[1]
    const items = pods.filter(({ metadata }) => selector === undefined || metadata.labels.app === selector)
    return Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ items })))
  })
  const health = RunnerHealth.layerK8s(options).pipe(
    Layer.provide(K8sHttpClient.layer),
    Layer.provide([Layer.succeed(HttpClient.HttpClient, client), FileSystem.layerNoop({})])
  )
  return RunnerHealth.RunnerHealth.use((health) => health.isAlive(RunnerAddress.make(address, 34431))).pipe(
    Effect.provide([health, Logger.layer([])]),
    Effect.runPromise
  )
}
for (const [what, pods] of Object.entries(lists))
  console.log(`${what}: ${await isAlive(pods)}, with a selector ${await isAlive(pods, { labelSelector: "app=runner" })}`)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected="its pod is gone: false, with a selector false
another pod has its address: true, with a selector false
a pod has no address: true, with a selector false
a sick pod on its host: false, with a selector true"
echo "whether a runner is alive, effect 4.1.0:"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
