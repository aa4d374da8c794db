/**
 * A real cluster whose etcd is begun anew, or set back to a backup, under a running process, and the identities that a real
 * server gives to those who may not read `kube-system`: only on a cluster that may be broken.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { bump } from "../../packages/backend-k8s/test/writes.ts"
import { makeWrite, settle, watch } from "./following.ts"
import { bindings, roles } from "./permissions.ts"
import * as TestCluster from "./TestCluster.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

if (process.env["TIDINGS_TEST_CLUSTER"] !== "kubeconfig") {
  const cluster = await TestCluster.start()
  afterAll(() => cluster[Symbol.asyncDispose]())
  const own = cluster.own!
  const data = path.join(own.directory, "etcd")
  const backup = path.join(own.directory, "etcd-backup")

  const stop = async () => {
    await own.killApiServer()
    await own.stopEtcd()
  }
  const start = async () => {
    await own.startEtcd()
    await own.startApiServer()
  }

  /** A snapshot of etcd, as it is when nothing is written. */
  const save = Effect.promise(async () => {
    await stop()
    fs.rmSync(backup, { recursive: true, force: true })
    fs.cpSync(data, backup, { recursive: true })
    await start()
  })
  const restore = Effect.promise(async () => {
    await stop()
    fs.rmSync(data, { recursive: true })
    fs.cpSync(backup, data, { recursive: true })
    await start()
  })
  /** Another cluster, in which the same users may do the same. */
  const beginAnew = Effect.promise(async () => {
    await stop()
    fs.rmSync(data, { recursive: true })
    await start()
    await own.apply([...roles, ...bindings])
  })

  /** What is read of any object here. */
  interface Reply {
    readonly metadata: { readonly uid: string }
    readonly status: { readonly token: string }
    readonly items: ReadonlyArray<{ readonly involvedObject: { readonly name: string }; readonly count: number }>
  }

  const json = async (method: string, at: string, body?: unknown): Promise<Reply> => {
    const answered = await own.request(at, { method, body })
    assert.isBelow(answered.status, 300, answered.text)
    return answered.json() as Reply
  }

  const draft = (name: string): Recorder.EventDraft => ({
    involvedObject: { apiVersion: "v1", kind: "ConfigMap", name, namespace: "default", uid: `uid-of-${name}` },
    reason: "Replaced",
    message: `${name} was seen`
  })

  const startRecorder = (options: KubernetesBackend.LayerOptions) =>
    Effect.map(
      Layer.build(
        Recorder.layer({ component: "host", reportingInstance: "host-0" }).pipe(
          Layer.provide(Layer.mergeAll(Templates.layer, Journal.layerMemory(), KubernetesBackend.layer(options)))
        )
      ),
      (built) => Context.get(built, Recorder.Recorder)
    )

  const stored = Effect.promise(async () => {
    const { items } = await json("GET", "/api/v1/namespaces/default/events?fieldSelector=reason=Replaced")
    return items.map((event) => `${event.involvedObject.name} ×${event.count}`).sort()
  })

  const sinkOf = (recorder: Recorder.Recorder["Service"]) =>
    Effect.map(recorder.status, ({ sinks }) => sinks["default"]!)

  const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
    Effect.flatMap(condition, (holds) => (holds ? Effect.void : Effect.andThen(Effect.sleep(50), until(condition))))

  /** A kubeconfig of one user with a token. */
  const kubeconfigOf = (name: string, token: string): string => {
    const file = path.join(own.directory, `kubeconfig-${name}`)
    fs.writeFileSync(
      file,
      JSON.stringify({
        "current-context": "c",
        clusters: [
          {
            name: "c",
            cluster: {
              server: own.server,
              "certificate-authority-data": fs.readFileSync(own.certificateAuthority).toString("base64")
            }
          }
        ],
        users: [{ name: "u", user: { token } }],
        contexts: [{ name: "c", context: { cluster: "c", user: "u" } }]
      }),
      { mode: 0o600 }
    )
    return file
  }

  /** A service account with a token of a real cluster, and what it may do. */
  const makeAccount = async (name: string) => {
    const at = "/api/v1/namespaces/default/serviceaccounts"
    const { metadata } = await json("POST", at, { apiVersion: "v1", kind: "ServiceAccount", metadata: { name } })
    await own.apply({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: `${name}-writer` },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "tidings-writer" },
      subjects: [{ kind: "ServiceAccount", name, namespace: "default" }]
    })
    const { status } = await json("POST", `${at}/${name}/token`, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: 3_600 }
    })
    return { uid: metadata.uid, token: status.token, kubeconfig: kubeconfigOf(name, status.token) }
  }

  const targetOf = (options: KubernetesBackend.LayerOptions) =>
    Backend.Backend.use(({ target }) => target).pipe(Effect.provide([KubernetesBackend.layer(options), quiet]))

  describe("a recorder whose etcd is begun anew at the same address", () => {
    it.live(
      "delivers nothing to the new cluster, loses nothing, and goes on when its own is back",
      () =>
        Effect.gen(function* () {
          const recorder = yield* startRecorder(cluster.connectionOptions("user"))
          for (let n = 0; n < 3; n++) yield* recorder.recordSettled(draft("before"))
          const account = yield* Effect.promise(() => makeAccount("host"))
          const bound = yield* startRecorder({ kubeconfig: account.kubeconfig })
          yield* bound.recordSettled(draft("account"))
          yield* save
          yield* beginAnew
          for (let n = 0; n < 20; n++) yield* recorder.record(draft(`after-${n}`))
          for (let n = 0; n < 3; n++) yield* recorder.record(draft("before"))
          yield* bound.record(draft("account"))
          yield* until(Effect.map(sinkOf(recorder), ({ state }) => state === "blocked"))
          yield* until(Effect.map(sinkOf(bound), ({ state }) => state !== "up"))
          yield* Effect.sleep("3 seconds")
          assert.deepStrictEqual(yield* stored, [])
          const blocked = yield* sinkOf(recorder)
          assert.deepInclude(blocked, { settled: 3, pending: 23, parked: 0, dropped: {} })
          assert.match(blocked.lastError ?? "", /[-0-9a-f]{36}.* [-0-9a-f]{36}/)
          // The token of an account of the old cluster is worth nothing in the new one.
          assert.match((yield* sinkOf(bound)).lastError ?? "", /401/)

          yield* restore
          assert.isTrue((yield* recorder.flush("60 seconds")).complete)
          assert.isTrue((yield* bound.flush("60 seconds")).complete)
          assert.deepStrictEqual(
            yield* stored,
            ["account ×2", "before ×6", ...Array.from({ length: 20 }, (_, n) => `after-${n} ×1`)].sort()
          )
        }).pipe(Effect.provide(quiet)),
      180_000
    )

    it.live(
      "under an API server that goes on running notices it as well",
      () =>
        Effect.gen(function* () {
          const recorder = yield* startRecorder(cluster.connectionOptions("user"))
          yield* recorder.recordSettled(draft("under"))
          const before = yield* stored
          yield* save
          yield* recorder.record(draft("under"))
          assert.isTrue((yield* recorder.flush("60 seconds")).complete)
          yield* Effect.promise(async () => {
            await own.killEtcd()
            fs.rmSync(data, { recursive: true })
          })
          yield* recorder.record(draft("under"))
          yield* Effect.sleep("3 seconds")
          yield* Effect.promise(() => own.startEtcd())
          yield* until(Effect.map(sinkOf(recorder), ({ state }) => state !== "up"))
          yield* Effect.sleep("15 seconds")
          const { pending, settled } = yield* sinkOf(recorder)
          assert.deepStrictEqual([settled, pending], [2, 1])
          yield* restore
          assert.isTrue((yield* recorder.flush("60 seconds")).complete)
          assert.deepStrictEqual(
            (yield* stored).filter((one) => !before.includes(one)),
            ["under ×3"]
          )
        }).pipe(Effect.provide(quiet)),
      240_000
    )
  })

  describe("an etcd that is set back to a backup", () => {
    it.live(
      "keeps the uid; counts grow exactly, what was lost is made anew, and a watch and its cursor say what happened",
      () =>
        Effect.gen(function* () {
          const backend = yield* Backend.Backend
          const [, namespace] = cluster.namespaces
          const filter = { resourceName: "set-back", namespace }
          const [kept, lost] = [makeWrite(namespace, "set-back"), makeWrite(namespace, "set-back")]
          const { id } = yield* backend.target
          yield* settle(backend, bump(kept, 2))
          yield* save
          const watching = yield* watch(backend, filter, "now")
          yield* watching.waitFor("Live")
          yield* settle(backend, bump(kept, 5))
          yield* settle(backend, bump(lost, 3))
          yield* watching.until(() => watching.items.length >= 3)
          const { cursor } = watching.items.at(-1)!
          yield* restore
          assert.strictEqual((yield* backend.target).id, id)

          const ended = yield* Effect.flip(Fiber.join(watching.fiber))
          assert.strictEqual(ended.reason._tag, "CursorMismatch")
          assert.include(ended.message, "restored to an earlier state")
          const refused = yield* Effect.flip(Stream.runHead(backend.watch(filter, cursor)))
          assert.strictEqual(refused.reason._tag, "CursorMismatch")

          yield* settle(backend, bump(kept, 6))
          yield* settle(backend, bump(lost, 4))
          const { events } = yield* backend.query(filter)
          assert.deepStrictEqual(events.map(({ count, id }) => [id.seq, count]).sort(), [
            [kept.id.seq, 7],
            [lost.id.seq, 5]
          ])
        }).pipe(Effect.provide([cluster.layer("user"), quiet])),
      180_000
    )
  })

  describe("the identity of a cluster", () => {
    it.live(
      "is the uid of the service account until kube-system may be read, and the same one then, and after that",
      () =>
        Effect.gen(function* () {
          const { kubeconfig, uid } = yield* Effect.promise(() => makeAccount("learning"))
          const first = yield* targetOf({ kubeconfig })
          assert.strictEqual(first.id, `account-${uid}`)
          assert.isUndefined(first.isUncertain)
          yield* Effect.promise(() =>
            own.apply({
              apiVersion: "rbac.authorization.k8s.io/v1",
              kind: "ClusterRoleBinding",
              metadata: { name: "learning-cluster-id" },
              roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "tidings-cluster-id" },
              subjects: [{ kind: "ServiceAccount", name: "learning", namespace: "default" }]
            })
          )
          const second = yield* Effect.repeat(targetOf({ kubeconfig }), {
            until: ({ id }) => id !== first.id,
            times: 100
          })
          const { metadata } = yield* Effect.promise(() => json("GET", "/api/v1/namespaces/kube-system"))
          assert.strictEqual(second.id, metadata.uid)
          assert.isTrue(Target.isContinued(first, second))
          assert.isTrue(Target.isContinued(second, first))
        }),
      60_000
    )

    it.live(
      "stays when the certificate authority is replaced",
      () =>
        Effect.gen(function* () {
          const { kubeconfig, token, uid } = yield* Effect.promise(() => makeAccount("rotating"))
          const before = {
            user: yield* targetOf(cluster.connectionOptions("user")),
            account: yield* targetOf({ kubeconfig }),
            writer: yield* targetOf(cluster.connectionOptions("writer"))
          }
          assert.isTrue(before.writer.isUncertain)
          yield* Effect.promise(async () => {
            await own.killApiServer()
            fs.rmSync(path.dirname(own.certificateAuthority), { recursive: true })
            await own.startApiServer()
          })
          const renewed = (name: "user" | "writer") => ({ kubeconfig: kubeconfigOf(name, own.tokens[name]!) })
          const after = {
            user: yield* targetOf(renewed("user")),
            writer: yield* targetOf(renewed("writer"))
          }
          assert.strictEqual(after.user.id, before.user.id)
          assert.notDeepEqual(after.user.aliases, before.user.aliases)
          assert.strictEqual(after.writer.id, before.writer.id)
          assert.isTrue(Target.isContinued(before.writer, after.writer))
          const account = yield* targetOf({ kubeconfig: kubeconfigOf("rotating", token) })
          assert.deepStrictEqual([account.id, before.account.id], [`account-${uid}`, `account-${uid}`])
        }),
      60_000
    )
  })
} else {
  it("a replaced cluster is tested only on a cluster that the test may break", () => {})
}
