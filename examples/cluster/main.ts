// Records from a controller into a cluster (one of its own, or that of $KUBECONFIG), and shows it with kubectl and tidings.
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Cluster from "../../tools/cluster/Cluster.ts"
import { COMPONENT, reconcile, REPEATED, runtime, SIMILAR } from "./controller.ts"
import { definitions, objectsIn, rightsOf } from "./manifests.ts"

const tidings = fileURLToPath(new URL("../../packages/tidings/bin/tidings.mjs", import.meta.url))
const theirs = process.env["KUBECONFIG"]
const namespace = theirs === undefined ? "default" : `tidings-example-${process.pid}`

const failures: Array<string> = []
let checks = 0
const check = (what: string, holds: boolean) => {
  checks++
  if (!holds) failures.push(what)
}

await using cluster =
  theirs === undefined ? await Cluster.start({ progress: (line) => console.error(line) }) : undefined
const kubeconfig = cluster?.kubeconfig ?? theirs!
const environment = { ...process.env, ...cluster?.environment, KUBECONFIG: kubeconfig }
// An ordinary user: an administrator never meets priority and fairness.
const context = cluster === undefined ? undefined : "user"

const kubectl = (args: ReadonlyArray<string>, input?: string): string => {
  const run = spawnSync("kubectl", args, {
    encoding: "utf8",
    env: environment,
    ...(input === undefined ? {} : { input })
  })
  if (run.status !== 0) throw new Error(`kubectl ${args.join(" ")}: ${run.stderr || run.error?.message}`)
  return run.stdout
}
const show = (command: string, args: ReadonlyArray<string>, run: () => string): string => {
  console.log(`\n$ ${command} ${args.join(" ")}`)
  const output = run()
  console.log(output.trimEnd())
  return output
}
const shown = (...args: ReadonlyArray<string>): string => show("kubectl", args, () => kubectl(args))
const apply = (objects: ReadonlyArray<object>) =>
  kubectl(["apply", "-f", "-"], objects.map((object) => JSON.stringify(object)).join("\n---\n"))

if (cluster === undefined) kubectl(["create", "namespace", namespace])
try {
  apply(definitions)
  kubectl([
    "wait",
    "--for=condition=Established",
    "--timeout=30s",
    ...definitions.map(({ metadata }) => `crd/${metadata.name}`)
  ])
  apply([...objectsIn(namespace), ...(context === undefined ? [] : rightsOf(context))])

  // Also when it is told to end, what was recorded is delivered, and what was started is stopped.
  const ending = new AbortController()
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort())
  const recorded = Effect.provide(reconcile(namespace), runtime({ kubeconfig, context }))
  const left = await Effect.runPromise(recorded, { signal: ending.signal })
  check("everything was delivered", left.complete)

  const all = shown("get", "events", "-n", namespace, "--sort-by=.lastTimestamp")
  const forWorkflow = shown("events", "-n", namespace, "--for", "workflow/deploy")
  const described = shown("describe", "workflow", "deploy", "-n", namespace)
  const describedServer = shown("describe", "mcpserver", "search", "-n", namespace)
  const listed = show("tidings", ["list", "-n", namespace], () => {
    const run = spawnSync(
      process.execPath,
      [tidings, "list", "-n", namespace, ...(context === undefined ? [] : ["--context", context])],
      {
        encoding: "utf8",
        env: { ...environment, TIDINGS_BACKEND: "kubernetes" }
      }
    )
    if (run.status !== 0) throw new Error(`tidings list: ${run.stderr}`)
    return run.stdout
  })

  // What each command must show: single, repeated and aggregated events, with age, count and source.
  const lineWith = (text: string, ...parts: ReadonlyArray<string | RegExp>): string | undefined =>
    text
      .split("\n")
      .find((line) => parts.every((part) => (typeof part === "string" ? line.includes(part) : part.test(line))))
  const age = /\b(?:\d+[ms]){1,2}\b/
  for (const [command, text] of [
    ["get events", all],
    ["tidings list", listed]
  ] as const) {
    check(`${command} shows the single event`, lineWith(text, "MCPServerStarted", "search", age) !== undefined)
    check(`${command} shows the service class`, lineWith(text, "ServiceClassAvailable", "web-app") !== undefined)
    check(
      `${command} shows the instance that is no resource`,
      lineWith(text, "ServiceInstanceCreated", "web-1") !== undefined
    )
    check(`${command} shows the repeated event once`, text.split("WorkflowStepFailed").length === 2)
    check(`${command} shows the aggregate`, lineWith(text, "(combined from similar events)") !== undefined)
  }
  const repeated = new RegExp(`\\b\\d+s \\(x${REPEATED} over \\d+s\\)`)
  const aggregated = new RegExp(`\\(x${SIMILAR - 9} over \\d+s\\)`)
  for (const [command, text] of [
    ["events --for", forWorkflow],
    ["describe", described]
  ] as const) {
    check(
      `${command} shows the repeated event with its count`,
      lineWith(text, "WorkflowStepFailed", repeated) !== undefined
    )
    check(
      `${command} shows the aggregate with its count`,
      lineWith(text, "(combined from similar events)", aggregated) !== undefined
    )
    check(`${command} shows the nine messages before it`, text.split("WorkflowStepCompleted").length - 1 === 10)
  }
  check(
    "describe finds the server's event by its uid",
    lineWith(describedServer, "MCPServerStarted", COMPONENT) !== undefined
  )
  check("describe names the source", lineWith(described, "WorkflowStepFailed", COMPONENT) !== undefined)

  const stored = JSON.parse(kubectl(["get", "events", "-n", namespace, "-o", "json"])) as {
    readonly items: ReadonlyArray<{
      readonly reason: string
      readonly count: number
      readonly source: { readonly component: string }
    }>
  }
  const ours = stored.items.filter(({ source }) => source.component === COMPONENT)
  const total = ours.reduce((sum, { count }) => sum + count, 0)
  check("every occurrence is counted once", total === 3 + REPEATED + SIMILAR)
  check("and there is nothing else", ours.length === 3 + 1 + 10)
} finally {
  if (cluster === undefined) kubectl(["delete", "namespace", namespace, "--wait=false"])
}

for (const failure of failures) console.error(`not so: ${failure}`)
console.log(`\n${checks - failures.length} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1
