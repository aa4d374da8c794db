// deploy/archive.yaml on a real API server: it is accepted, its rights are enough and no more than that, and its container archives.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import * as postgres from "../../tools/postgres/server.ts"
import { Folder, kubeconfig } from "./besideKubectl.ts"
import * as TestCluster from "./TestCluster.ts"

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())
const { own } = cluster

const root = path.resolve(import.meta.dirname, "..", "..")
const manifest = path.join(root, "deploy", "archive.yaml")
const command = path.join(root, "packages", "tidings", "dist", "tidings.cjs")
const ACCOUNT = "system:serviceaccount:tidings:tidings-archive"

const folder = new Folder()
afterAll(() => folder[Symbol.dispose]())

const directory = postgres.makeDirectory()
let database: postgres.Server
const started: Array<ChildProcess> = []

beforeAll(async () => {
  // The first run after a change of the sources builds the bundle.
  const { status, stderr } = spawnSync(process.execPath, [
    path.join(root, "packages/tidings/bin/tidings.mjs"),
    "--version"
  ])
  assert.strictEqual(status, 0, stderr.toString())
  const { bin } = postgres.installed(15) ?? postgres.install(directory)
  database = await postgres.Server.make(bin, directory)
})

afterAll(async () => {
  for (const child of started) child.kill("SIGKILL")
  await database.remove()
  rmSync(directory, { recursive: true, force: true })
})

const kubectl = async (...args: ReadonlyArray<string>): Promise<string> => {
  const { code, stderr, stdout } = await own!.kubectl(args)
  assert.strictEqual(code, 0, `kubectl ${args.join(" ")}: ${stderr}`)
  return stdout
}

const mayBe = async (...args: ReadonlyArray<string>): Promise<boolean> =>
  (await own!.kubectl(["auth", "can-i", ...args, `--as=${ACCOUNT}`])).stdout.trim() === "yes"

interface Container {
  readonly args: ReadonlyArray<string>
  readonly env: ReadonlyArray<{
    readonly name: string
    readonly valueFrom: { readonly secretKeyRef: { readonly name: string; readonly key: string } }
  }>
  readonly readinessProbe: { readonly httpGet: { readonly path: string; readonly port: string } }
  readonly livenessProbe: { readonly httpGet: { readonly path: string } }
}

/** The container as the API server has it. */
const container = async (): Promise<Container> => {
  const text = await kubectl("get", "deployment", "tidings-archive", "-n", "tidings", "-o", "json")
  return JSON.parse(text).spec.template.spec.containers[0] as Container
}

/** The variables of the container, read from the secrets that it names. */
const environmentOf = async ({ env }: Container): Promise<Record<string, string>> => {
  const found: Record<string, string> = {}
  for (const { name, valueFrom } of env) {
    const { key, name: secret } = valueFrom.secretKeyRef
    const { data } = JSON.parse(await kubectl("get", "secret", secret, "-n", "tidings", "-o", "json"))
    found[name] = Buffer.from(data[key] as string, "base64").toString()
  }
  return found
}

const eventually = async <A>(look: () => Promise<A>, holds: (found: A) => boolean): Promise<A> => {
  const until = Date.now() + 30_000
  for (;;) {
    const found = await look()
    if (holds(found)) return found
    assert.isBelow(Date.now(), until, `still ${JSON.stringify(found)}`)
    await setTimeout(100)
  }
}

const events = async (environment: Readonly<Record<string, string>>, ...argv: ReadonlyArray<string>) => {
  const ran = spawnSync(process.execPath, [command, "list", "-o", "ndjson", "--limit", "all", ...argv], {
    encoding: "utf8",
    env: { ...environment, TIDINGS_BACKEND: "postgres" }
  })
  return ran.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
}

/** What kubectl and the other writers of a cluster would record. */
const record = async (namespace: string, name: string): Promise<void> => {
  const now = new Date().toISOString()
  await own!.apply({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace },
    involvedObject: { apiVersion: "v1", kind: "Pod", name: "web", namespace },
    reason: "Pulled",
    message: `recorded as ${name}`,
    type: "Normal",
    firstTimestamp: now.replace(/\.\d+/, ""),
    lastTimestamp: now.replace(/\.\d+/, ""),
    count: 1
  })
}

describe.runIf(own !== undefined)("deploy/archive.yaml", () => {
  it("is accepted by a real API server without a warning, and again", async () => {
    const first = await own!.kubectl(["apply", "-f", manifest])
    assert.deepStrictEqual([first.code, first.stderr], [0, ""])
    const second = await own!.kubectl(["apply", "-f", manifest])
    assert.strictEqual(second.code, 0)
    // A field that the API server drops or fills in otherwise would be another generation.
    const generation = await kubectl(
      "get",
      "deployment",
      "tidings-archive",
      "-n",
      "tidings",
      "-o",
      "jsonpath={.metadata.generation}"
    )
    assert.strictEqual(generation, "1")
  })

  it("gives the rights that an archive takes, and no other", async () => {
    await kubectl("apply", "-f", manifest)
    assert.isTrue(await mayBe("list", "events", "--all-namespaces"))
    assert.isTrue(await mayBe("watch", "events", "--all-namespaces"))
    assert.isTrue(await mayBe("get", "namespaces/kube-system"))
    for (const other of [
      ["create", "events", "-n", "default"],
      ["delete", "events", "-n", "default"],
      ["get", "namespaces/default"],
      ["list", "namespaces"],
      ["get", "secrets", "-n", "tidings"],
      ["list", "pods", "--all-namespaces"]
    ]) {
      assert.isFalse(await mayBe(...other), other.join(" "))
    }
  })

  it("archives with two replicas, of which one is killed, with the URL of the secret", async () => {
    await kubectl("apply", "-f", manifest)
    // As the guide says.
    const literal = `--from-literal=TIDINGS_DATABASE=${database.url()}`
    await kubectl("-n", "tidings", "create", "secret", "generic", "tidings-archive", literal)
    const made = await container()
    const environment = await environmentOf(made)
    assert.deepStrictEqual(environment, { TIDINGS_DATABASE: database.url() })

    const token = (await kubectl("create", "token", "tidings-archive", "-n", "tidings")).trim()
    const file = folder.file(
      "kubeconfig",
      kubeconfig({
        cluster: { server: own!.server, "certificate-authority": own!.certificateAuthority },
        user: { token }
      })
    )
    assert.include(made.args, "--health")
    /** The container of a pod, whose name the host has there; on one machine each needs a port of its own. */
    const pod = async (name: string) => {
      const args = made.args.map((one, index) => (made.args[index - 1] === "--health" ? "0" : one))
      const child = spawn(process.execPath, [command, ...args, "--replica", name], {
        env: { ...environment, KUBECONFIG: file },
        stdio: ["ignore", "ignore", "pipe"]
      })
      started.push(child)
      let said = ""
      child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
      await eventually(
        () => Promise.resolve(said),
        (said) => /probes at port \d+/.test(said)
      )
      const port = /probes at port (\d+)/.exec(said)![1]!
      const probe = async (where: string): Promise<string> => {
        const response = await fetch(`http://127.0.0.1:${port}${where}`)
        return `${response.status} ${await response.text()}`
      }
      return { child, probe }
    }
    const [one, two] = [await pod("tidings-archive-1"), await pod("tidings-archive-2")]
    for (const { probe } of [one, two]) {
      const { livenessProbe, readinessProbe } = made
      await eventually(
        () => probe(readinessProbe.httpGet.path),
        (answer) => answer === "200 ok\n"
      )
      assert.strictEqual(await probe(livenessProbe.httpGet.path), "200 ok\n")
    }

    const [, teamA, teamB] = cluster.namespaces
    for (const namespace of [teamA, teamB]) for (let n = 0; n < 5; n++) await record(namespace, `before-${n}`)
    one.child.kill("SIGKILL")
    for (const namespace of [teamA, teamB]) for (let n = 0; n < 5; n++) await record(namespace, `after-${n}`)
    const name = made.args[made.args.indexOf("--cluster") + 1]!
    const mine = (all: ReadonlyArray<{ readonly message: string }>) =>
      all.filter(({ message }) => message.startsWith("recorded as "))
    const found = await eventually(
      () => events(environment, "--cluster", name),
      (found) => mine(found).length >= 20
    )
    assert.strictEqual(mine(found).length, 20)
    assert.deepStrictEqual([...new Set(found.map(({ cluster }) => cluster.name))], [name])
    const doctor = spawnSync(process.execPath, [command, "doctor", "-o", "json"], {
      encoding: "utf8",
      env: { ...environment, TIDINGS_BACKEND: "postgres" }
    })
    const { checks } = JSON.parse(doctor.stdout)
    const archive = checks.find((check: { readonly name: string }) => check.name === "archive")
    assert.deepInclude(archive.facts, { cluster: name, gaps: 0, until: "now" })

    const closed = once(two.child, "close")
    two.child.kill("SIGTERM")
    assert.deepStrictEqual(await closed, [0, null])
  })
})
