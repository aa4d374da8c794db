import * as Effect from "effect/Effect"
import * as Clock from "effect/Clock"
import * as acceptance from "../packages/core/src/internal/acceptance.ts"
import * as memory from "../packages/core/src/internal/memoryBackend.ts"
import { Ledger, SinkLedger } from "../packages/core/src/internal/ledger.ts"
import * as Transform from "../packages/core/src/Transform.ts"
import * as Timestamp from "../packages/core/src/Timestamp.ts"
import * as text from "../packages/core/src/internal/text.ts"
import * as Templates from "../packages/core/src/Templates.ts"
import * as EventGenerator from "../packages/core/src/EventGenerator.ts"

const cpu = () => { const { user, system } = process.cpuUsage(); return user + system }
const bench = (name, f, N = 100_000) => {
  const xs = []
  for (let r = 0; r < 15; r++) { const a = cpu(); for (let i = 0; i < N; i++) f(i); xs.push((cpu() - a) * 1000 / N) }
  xs.splice(0, 4)
  console.log(name.padEnd(26), xs.toSorted((a, b) => a - b)[xs.length >> 1].toFixed(0))
}
const templates = await Effect.runPromise(Templates.make)
await Effect.runPromise(templates.register(EventGenerator.EventGenerator.kinds))
const context = await Effect.runPromise(Effect.context())
const clock = await Effect.runPromise(Clock.Clock)
const options = (transforms) => ({ transforms, source: { component: "x" }, reportingController: "x", reportingInstance: "x", render: templates.render, typeOf: (r) => templates.reason(r)?.type, apiVersionOf: (k) => templates.kind(k)?.apiVersion })
const prepare = acceptance.make(options([Transform.redact()]))
const bare = acceptance.make(options([]))
const draft = () => ({ involvedObject: { apiVersion: "muster.giantswarm.io/v1alpha1", kind: "MCPServer", name: "search", namespace: "default" }, reason: "MCPServerFailed", data: { error: "connection refused" }, type: undefined, action: undefined, related: undefined, labels: undefined, at: undefined })
let sink
bench("draft", () => { sink = draft() })
bench("prepare", () => { sink = prepare(draft()) })
bench("prepare, no redact", () => { sink = bare(draft()) })
bench("render", () => { sink = templates.render("MCPServerFailed", { name: "search", namespace: "default", error: "connection refused" }) })
const message = templates.render("MCPServerFailed", { name: "search", namespace: "default", error: "connection refused" })
console.log(message)
bench("escapeControl", () => { sink = text.escapeControl(message) })
bench("now", () => { sink = Timestamp.now(clock) })
const ledger = new Ledger(context), sl = new SinkLedger("default", context)
bench("ledger", () => { ledger.accept(1); sl.settle(1, "created") })
const store = new memory.Store(10_000)
let seq = 0
const body = bare(draft()).body
bench("store.write", () => { const id = { origin: "o", seq: ++seq }; store.write({ id, upTo: seq, count: 1, first: 1.7e15, last: 1.7e15, event: body }) })
const succeed = Effect.sync(() => [{ _tag: "Settled", how: "created" }])
bench("runFork sync", () => { sink = Effect.runForkWith(context)(succeed).pollUnsafe() })
