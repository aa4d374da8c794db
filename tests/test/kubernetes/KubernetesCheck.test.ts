import { assert, beforeAll, describe, it } from "@effect/vitest"
import type { Check } from "@tidings/core/BackendCheck"
import * as Target from "@tidings/core/Target"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as KubernetesCheck from "@tidings/backend-k8s/KubernetesCheck"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"

// To load what reads a kubeconfig takes seconds where others are busy too, and is no part of what a test waits for.
beforeAll(() => Effect.runPromise(KubernetesCheck.run({ kubeconfig: "/nowhere" })), 60_000)

const rule = (...verbs: ReadonlyArray<string>): ApiServer.Rule => ({ apiGroups: [""], resources: ["events"], verbs })

/** The clock of this machine, but for so many milliseconds. */
const shifted = (millis: number) => {
  const now = () => Date.now() + millis
  return Effect.map(Clock.Clock, (clock): Clock.Clock => ({
    ...clock,
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: () => BigInt(now()) * 1_000_000n,
    currentTimeNanos: Effect.sync(() => BigInt(now()) * 1_000_000n),
    monotonicTimeNanosUnsafe: clock.monotonicTimeNanosUnsafe.bind(clock),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration: Duration.Duration) => clock.sleep(duration)
  }))
}

const run = (server: ApiServer.ApiServer["Service"], context: string, place?: KubernetesCheck.Place) =>
  KubernetesCheck.run({ kubeconfig: server.kubeconfigFile, context, ...place })

const named = (checks: ReadonlyArray<Check>, name: string): Check => {
  const found = checks.filter((check) => check.name === name)
  assert.strictEqual(found.length, 1, `${name} in ${checks.map((check) => check.name).join(", ")}`)
  return found[0]!
}

const states = (checks: ReadonlyArray<Check>): Readonly<Record<string, Check["state"]>> =>
  Object.fromEntries(checks.map(({ name, state }) => [name, state]))

const event = (name: string, namespace: string) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name, namespace },
  involvedObject: { kind: "ConfigMap", name: "a", namespace },
  reason: "Tried",
  message: "it",
  type: "Normal"
})

describe("a cluster without a problem", () => {
  it.live("passes every check", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make({
        users: [
          {
            name: "user",
            rules: [
              rule("create", "patch", "get", "list", "watch"),
              { apiGroups: [""], resources: ["namespaces"], verbs: ["get"] }
            ]
          }
        ]
      })
      yield* server.put(event("one", "default"))
      const before = yield* server.resourceVersion
      const checks = yield* run(server, "user")
      assert.deepStrictEqual(states(checks), {
        configuration: "ok",
        reachable: "ok",
        version: "ok",
        identity: "ok",
        "create events": "ok",
        "patch events": "ok",
        "list events": "ok",
        "watch events": "ok",
        "get events": "ok",
        "get namespace kube-system": "ok",
        "get involved objects": "ok",
        retention: "ok",
        clock: "ok"
      })
      assert.isTrue(checks.every(({ advice }) => advice === undefined))
      assert.deepStrictEqual(named(checks, "configuration").facts, {
        source: server.kubeconfigFile,
        context: "user",
        server: server.url,
        namespace: "default"
      })
      assert.include(named(checks, "reachable").found, server.url)
      assert.match(named(checks, "version").found, /^v1\.\d+\.\d+/)
      assert.deepStrictEqual(named(checks, "identity").facts, {
        user: "user",
        groups: ["system:serviceaccounts", "system:authenticated"]
      })
      assert.deepStrictEqual(named(checks, "patch events").facts, {
        verb: "patch",
        allowed: true,
        namespace: "default"
      })
      assert.match(named(checks, "retention").found, /^1 event in namespace default; the oldest was written \d+s? ago/)
      // Nothing is left behind.
      assert.strictEqual(yield* server.resourceVersion, before)
    }).pipe(Effect.scoped)
  )
})

describe("rights", () => {
  const cases: ReadonlyArray<{
    readonly verbs: ReadonlyArray<string>
    readonly states: Readonly<Record<"create" | "patch" | "list" | "watch", Check["state"]>>
    /** By verb: the verbs of the rule that is advised. */
    readonly advice: Readonly<Record<string, ReadonlyArray<string>>>
  }> = [
    {
      verbs: ["create", "patch"],
      states: { create: "ok", patch: "ok", list: "note", watch: "note" },
      advice: { list: ["list", "watch"] }
    },
    {
      verbs: ["list", "watch"],
      states: { create: "note", patch: "note", list: "ok", watch: "ok" },
      advice: { create: ["create", "patch"] }
    },
    {
      verbs: ["create", "list", "watch"],
      states: { create: "ok", patch: "broken", list: "ok", watch: "ok" },
      advice: { patch: ["patch"] }
    },
    {
      verbs: ["create", "patch", "list"],
      states: { create: "ok", patch: "ok", list: "ok", watch: "broken" },
      advice: { watch: ["watch"] }
    },
    {
      verbs: ["patch", "watch"],
      states: { create: "broken", patch: "ok", list: "broken", watch: "ok" },
      advice: { create: ["create"], list: ["list"] }
    },
    {
      verbs: [],
      states: { create: "broken", patch: "broken", list: "broken", watch: "broken" },
      advice: { create: ["create", "patch"], list: ["list", "watch"] }
    }
  ]

  it.live("name the kinds of objects that may be looked up, or the rule for one", () =>
    Effect.gen(function* () {
      const get = (...resources: ReadonlyArray<string>) => ({ apiGroups: ["apps"], resources, verbs: ["get"] })
      const server = yield* ApiServer.make({
        users: [
          { name: "none", rules: [rule("create", "patch", "get", "list", "watch")] },
          {
            name: "some",
            rules: [get("deployments", "statefulsets"), { apiGroups: [""], resources: ["pods"], verbs: ["*"] }]
          },
          { name: "many", rules: [get("a", "b", "c", "d", "e", "f", "g")] },
          { name: "all", groups: ["system:masters"] }
        ]
      })
      const of = (user: string) => Effect.map(run(server, user), (checks) => named(checks, "get involved objects"))
      const none = yield* of("none")
      assert.strictEqual(none.state, "note", none.found)
      assert.match(none.found, /^not allowed for any kind in namespace default: /)
      assert.match(none.advice!, /"deployments".*"get".* to User none$/)
      const some = yield* of("some")
      assert.strictEqual(some.state, "ok")
      assert.match(some.found, /^allowed for deployments\.apps, pods, statefulsets\.apps in namespace default; /)
      assert.isUndefined(some.advice)
      assert.include((yield* of("many")).found, "e.apps and 2 more")
      assert.include((yield* of("all")).found, "allowed for all kinds")
    }).pipe(Effect.scoped)
  )

  it.live("are reported one by one, each missing rule once", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make({
        users: cases.map(({ verbs }, index) => ({ name: `user-${index}`, rules: [rule(...verbs)] }))
      })
      for (const [index, { advice, states: expected, verbs }] of cases.entries()) {
        const checks = yield* run(server, `user-${index}`)
        for (const verb of ["create", "patch", "list", "watch"] as const) {
          const check = named(checks, `${verb} events`)
          assert.strictEqual(check.state, expected[verb], `${verb} of [${verbs.join()}]`)
          assert.strictEqual(check.found.startsWith("allowed in namespace default"), verbs.includes(verb))
          const advised = advice[verb]
          if (advised === undefined) assert.isUndefined(check.advice, `${verb} of [${verbs.join()}]`)
          else {
            assert.include(check.advice!, `verbs: [${advised.map((one) => `"${one}"`).join(", ")}]`)
            assert.include(check.advice!, "a Role in namespace default")
            assert.match(check.advice!, new RegExp(` to User user-${index}$`))
          }
        }
        assert.strictEqual(named(checks, "get events").state, "ok")
        assert.strictEqual(named(checks, "get namespace kube-system").state, "note")
        assert.include(named(checks, "get namespace kube-system").advice!, `resourceNames: ["kube-system"]`)
        assert.strictEqual(
          checks.some(({ name }) => name === "retention"),
          verbs.includes("list")
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("are those of the namespace that is meant, or of all", () =>
    Effect.gen(function* () {
      const all = ["create", "patch", "list", "watch"]
      const server = yield* ApiServer.make({
        namespaces: ["team-a"],
        users: [
          { name: "near", rules: [{ ...rule(...all), namespaces: ["team-a"] }] },
          { name: "system:serviceaccount:team-a:bot", rules: [{ ...rule(...all), namespaces: ["team-a"] }] }
        ]
      })
      yield* server.put(event("a", "team-a"))
      yield* server.put(event("b", "default"))
      const stateIn = (place: KubernetesCheck.Place) =>
        Effect.map(run(server, "near", place), (checks) => named(checks, "create events").state)
      assert.strictEqual(yield* stateIn({ namespace: "team-a" }), "ok")
      assert.strictEqual(yield* stateIn({ namespace: "default" }), "broken")
      assert.strictEqual(yield* stateIn({}), "broken")
      assert.strictEqual(yield* stateIn({ allNamespaces: true }), "broken")
      const everywhere = yield* run(server, "system:serviceaccount:team-a:bot", { allNamespaces: true })
      assert.include(named(everywhere, "list events").advice!, "a ClusterRole and bind it to ServiceAccount team-a/bot")
      assert.strictEqual(named(yield* run(server, "near", { namespace: "team-a" }), "retention").facts!["events"], 1)
      assert.strictEqual(named(yield* run(server, "admin", { allNamespaces: true }), "retention").facts!["events"], 2)
      // No text gets out of its place in a path.
      const odd = yield* run(server, "admin", { namespace: "team-a/events?x=" })
      assert.strictEqual(named(odd, "retention").facts?.["events"] ?? 0, 0)
    }).pipe(Effect.scoped)
  )
})

describe("time", () => {
  it.live("notes a clock that is seconds off, and is broken from a minute on", () =>
    Effect.gen(function* () {
      const cases = [
        [0, "ok", /agree/, 0],
        [900, "ok", /agree/, 0],
        [10_000, "note", /^the server is (9|10)s ahead of this machine$/, 10],
        [-10_000, "note", /^the server is (9|10)s behind this machine$/, -10],
        [3_600_000, "broken", /^the server is (1h|59m 59s) ahead of/, 3_600],
        [-90_000, "broken", /^the server is 1m (29|30)s behind/, -90]
      ] as const
      for (const [millis, state, found, seconds] of cases) {
        const clock = yield* shifted(millis)
        const server = yield* Effect.provideService(ApiServer.make(), Clock.Clock, clock)
        const check = named(yield* run(server, "admin"), "clock")
        assert.strictEqual(check.state, state, `${millis}`)
        assert.match(check.found, found)
        assert.approximately(Number(check.facts!["aheadSeconds"]), seconds, 1)
        assert.strictEqual(check.advice === undefined, state === "ok")
      }
    }).pipe(Effect.scoped)
  )

  it.live("tells how long events are kept by the oldest write, by the clock of the server", () =>
    Effect.gen(function* () {
      let millis = -3_000_000
      const base = yield* shifted(0)
      const moving: Clock.Clock = {
        ...base,
        currentTimeMillisUnsafe: () => Date.now() + millis,
        currentTimeMillis: Effect.sync(() => Date.now() + millis)
      }
      const server = yield* Effect.provideService(
        ApiServer.make({ eventTtl: "2 hours", namespaces: ["empty"] }),
        Clock.Clock,
        moving
      )
      const begun = performance.now()
      // The test takes time itself, and a slow response tells the clock of the server less exactly.
      const isAge = (seconds: unknown, expected: number): void =>
        assert.approximately(Number(seconds), expected, 2 + (performance.now() - begun) / 1_000)
      for (let n = 0; n < 1_234; n++) yield* server.put(event(`event-${n}`, "default"))
      millis = 0
      const aged = named(yield* run(server, "admin"), "retention")
      assert.match(aged.found, /^1234 events in namespace default; the oldest was written (49m 5\ds|50m( \d+s)?) ago/)
      isAge(aged.facts!["oldestSeconds"], 3_000)
      // An hour ahead: the same events are as old as before.
      millis = 600_000
      isAge(named(yield* run(server, "admin"), "retention").facts!["oldestSeconds"], 3_600)
      const empty = named(yield* run(server, "admin", { namespace: "empty" }), "retention")
      assert.deepStrictEqual([empty.state, empty.facts], ["ok", { events: 0, oldestSeconds: null }])
    }).pipe(Effect.scoped)
  )
})

describe("a cluster that cannot be used", () => {
  const inFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-check-"))),
      use,
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    )

  it.live("is not configured, or wrongly", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const missing = yield* KubernetesCheck.run({ kubeconfig: path.join(folder, "none") })
        assert.deepStrictEqual(states(missing), { configuration: "broken" })
        assert.include(missing[0]!.found, "none")
        assert.isDefined(missing[0]!.advice)
        const server = yield* ApiServer.make()
        const context = yield* run(server, "nobody-at-all")
        assert.deepStrictEqual(states(context), { configuration: "broken" })
        assert.include(context[0]!.found, "admin")
      }).pipe(Effect.scoped)
    )
  )

  it.live("does not answer, or stops answering in between", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      yield* server.killApiServer
      const dead = yield* run(server, "admin")
      assert.deepStrictEqual(states(dead), { configuration: "ok", reachable: "broken" })
      assert.include(named(dead, "reachable").found, "ECONNREFUSED")
      assert.notInclude(named(dead, "reachable").found, "written")
      assert.include(named(dead, "reachable").advice!, "context admin")
      yield* server.startApiServer({ rolesAfter: 0 })
      yield* server.pauseApiServer
      const paused = yield* KubernetesCheck.run({ kubeconfig: server.kubeconfigFile, timeout: "100 millis" })
      assert.deepStrictEqual(states(paused), { configuration: "ok", reachable: "broken" })
      assert.include(named(paused, "reachable").found, "no answer within 100ms")
    }).pipe(Effect.scoped)
  )

  it.live("does not accept the credentials, and nothing more is asked", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      yield* server.rotateToken("user")
      const checks = yield* run(server, "user")
      assert.deepStrictEqual(states(checks), { configuration: "ok", reachable: "ok", identity: "broken", clock: "ok" })
      assert.include(named(checks, "identity").found, "does not accept the credentials")
      assert.isDefined(named(checks, "identity").advice)
    }).pipe(Effect.scoped)
  )

  it.live("has a failing credential plugin, which is reported for the identity", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-check-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
      )
      const kubeconfig = path.join(folder, "config")
      fs.writeFileSync(
        kubeconfig,
        JSON.stringify({
          apiVersion: "v1",
          kind: "Config",
          clusters: [
            { name: "c", cluster: { server: server.url, "certificate-authority": server.certificateAuthorityFile } }
          ],
          users: [
            {
              name: "u",
              user: {
                exec: { apiVersion: "client.authentication.k8s.io/v1", command: "false", interactiveMode: "Never" }
              }
            }
          ],
          contexts: [{ name: "plugin", context: { cluster: "c", user: "u", namespace: "team-a" } }],
          "current-context": "plugin"
        })
      )
      const checks = yield* KubernetesCheck.run({ kubeconfig })
      assert.deepStrictEqual(states(checks), { configuration: "ok", identity: "broken" })
      assert.include(named(checks, "identity").found, "false")
      assert.strictEqual(named(checks, "configuration").facts!["namespace"], "team-a")
    }).pipe(Effect.scoped)
  )

  it.live("passes with fewer details where its API server is old or unusual", () =>
    Effect.gen(function* () {
      // What an older server does not know is 404, and a gateway may answer whatever it likes.
      const connection = (answers: (request: KubernetesConnection.KubernetesRequest) => number) =>
        KubernetesConnection.KubernetesConnection.of({
          server: "https://gateway",
          context: "c",
          namespace: "default",
          source: "nowhere",
          isLoggingIn: () => false,
          target: Effect.succeed(Target.make("x")),
          epoch: () => 0,
          open: () => Effect.die("nothing is watched"),
          request: (request) => Effect.succeed({ status: answers(request), headers: {}, body: "<html>no</html>" })
        })
      const checks = yield* KubernetesCheck.runWith(connection(({ method }) => (method === "GET" ? 500 : 404)))
      assert.deepStrictEqual(states(checks), {
        configuration: "ok",
        reachable: "ok",
        version: "note",
        identity: "note",
        "create events": "note",
        "patch events": "note",
        "list events": "note",
        "watch events": "note",
        "get events": "note",
        "get namespace kube-system": "note",
        "get involved objects": "note",
        retention: "note",
        clock: "note"
      })
      assert.include(named(checks, "identity").found, "1.28")
    })
  )

  it.live("is no API server passes no check beyond being reachable, whatever its successful responses contain", () =>
    Effect.gen(function* () {
      for (const body of ["<html>Sign in</html>", "", "null", "[]", "{}", '{"kind":"Status","code":200}']) {
        const checks = yield* KubernetesCheck.runWith(
          KubernetesConnection.KubernetesConnection.of({
            server: "https://gateway",
            context: "c",
            namespace: "default",
            source: "nowhere",
            isLoggingIn: () => false,
            target: Effect.succeed(Target.make("x")),
            epoch: () => 0,
            open: () => Effect.die("nothing is watched"),
            request: ({ method }) => Effect.succeed({ status: method === "GET" ? 200 : 201, headers: {}, body })
          })
        )
        assert.strictEqual(named(checks, "version").state, "broken")
        assert.include(named(checks, "version").found, "other than an API server")
        for (const { name, state } of checks) {
          if (name !== "configuration" && name !== "reachable")
            assert.notStrictEqual(state, "ok", `${name} for ${body}`)
        }
        assert.include(named(checks, "retention").found, "cannot be listed")
      }
    })
  )
})
