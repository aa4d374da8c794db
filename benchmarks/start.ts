/**
 * What a user waits for: the start of the command, the import of the library, the start of a host with a cluster, and the list
 * of a cluster with very many events.
 */
import { spawn, spawnSync } from "node:child_process"
import * as https from "node:https"
import type { AddressInfo } from "node:net"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { selfSigned } from "../packages/backend-k8s/test/certificates.ts"
import { cpuTurns } from "./cpuTurns.ts"
import { buildPackage, installCommand } from "./installed.ts"
import * as listing from "./listing.ts"
import { compare, type Group, median } from "./Measurement.ts"

const ROUNDS = 11

const timeOf = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): number => {
  const begun = process.hrtime.bigint()
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" })
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
  return Number(process.hrtime.bigint() - begun) / 1_000_000
}

const turns = (
  contenders: Readonly<Record<string, ReadonlyArray<string>>>,
  env: NodeJS.ProcessEnv
): ReadonlyMap<string, number> => {
  const times = new Map<string, Array<number>>(Object.keys(contenders).map((name) => [name, []]))
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, args] of Object.entries(contenders)) {
      const time = timeOf(args, env)
      if (round >= 0) times.get(name)!.push(time)
    }
  }
  return new Map([...times].map(([name, list]) => [name, median(list)]))
}

/** The modules of Effect that the core itself imports, and no line of its own. */
const EFFECT_MODULES = [
  "Cause",
  "Clock",
  "Context",
  "Data",
  "DateTime",
  "Deferred",
  "Duration",
  "Effect",
  "Exit",
  "Fiber",
  "Layer",
  "Metric",
  "Option",
  "Random",
  "Result",
  "Scope",
  "Semaphore",
  "Stream",
  "crypto/SecureRandom",
  "encoding/Base64Url",
  "encoding/Hex"
]

/** Milliseconds of CPU that a program has used at its end. */
const cpuOf = (file: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, NODE_OPTIONS: "" },
      stdio: ["ignore", "pipe", "inherit"]
    })
    let printed = ""
    child.stdout.on("data", (chunk) => (printed += String(chunk)))
    child.on("close", (code) =>
      code === 0 ? resolve(Number(printed)) : reject(new Error(`${file} ended with exit code ${code}`))
    )
  })

const PRINT_CPU = `process.on("exit", () => {
  const { system, user } = process.cpuUsage()
  console.log((system + user) / 1_000)
})`

/** A kubeconfig with a certificate authority and a token, for a server that answers everything. */
const withServer = async <A>(folder: string, use: (kubeconfig: string) => Promise<A>): Promise<A> => {
  const identity = selfSigned("127.0.0.1")
  const server = https.createServer(identity, (_, response) => response.end("{}"))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const kubeconfig = join(folder, "kubeconfig")
  writeFileSync(
    kubeconfig,
    `current-context: x
clusters:
- name: c
  cluster:
    server: https://127.0.0.1:${port}
    certificate-authority-data: ${Buffer.from(identity.cert).toString("base64")}
users:
- name: u
  user:
    token: secret
contexts:
- name: x
  context:
    cluster: c
    user: u
`
  )
  try {
    return await use(kubeconfig)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const IMPORT_CORE = 'import "@tidings/core"'

const hostOf = (kubeconfig: string, use: string): string => `import "@tidings/core"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
const connection = KubernetesConnection.layer({ kubeconfig: ${JSON.stringify(kubeconfig)} })
const backend = Layer.provideMerge(KubernetesBackend.layerConnection(), connection)
await Effect.runPromise(Effect.provide(${use}, backend))`

/** What a host with a cluster costs until it is ready to record, and until it was answered for the first time. */
const host = async (folder: string): Promise<Group> => {
  buildPackage("@tidings/backend-k8s")
  const asking = 'KubernetesConnection.KubernetesConnection.use((one) => one.request({ method: "GET", path: "/" }))'
  const costs = await withServer(folder, async (kubeconfig) => {
    const contenders: Readonly<Record<string, string>> = {
      "import @tidings/core": IMPORT_CORE,
      "a host with a cluster": hostOf(kubeconfig, "Effect.void"),
      "and its first answer over TLS": hostOf(kubeconfig, asking),
      "the KubeConfig of @kubernetes/client-node alone": `import { KubeConfig } from "@kubernetes/client-node"
new KubeConfig().loadFromFile(${JSON.stringify(kubeconfig)})`
    }
    const measured = new Map<string, Array<number>>()
    const scripts = Object.entries(contenders).map(([name, text], index) => {
      const file = resolve("benchmarks", `.host-${index}.mjs`)
      writeFileSync(file, `${text}\n${PRINT_CPU}\n`)
      measured.set(name, [])
      return [name, file] as const
    })
    try {
      for (let round = -1; round < ROUNDS; round++) {
        for (const [name, file] of scripts) {
          const cost = await cpuOf(file)
          if (round >= 0) measured.get(name)!.push(cost)
        }
      }
    } finally {
      for (const [, file] of scripts) rmSync(file, { force: true })
    }
    return measured
  })
  return {
    title: "Start a host with a cluster (CPU)",
    rows: compare(
      new Map([...costs].map(([name, list]) => [name, median(list)])),
      "import @tidings/core",
      { "a host with a cluster": { atMost: 1.6 } },
      "ms"
    )
  }
}

/** With `isOnCluster` also on a real API server, which takes some minutes more. */
export const run = async (isOnCluster: boolean): Promise<ReadonlyArray<Group>> => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  try {
    const command = installCommand(folder)
    const env = { ...process.env, TIDINGS_DIRECTORY: join(folder, "log"), NODE_OPTIONS: "" }
    timeOf([command, "emit", "Workflow/bench", "WorkflowExecuted"], env)
    const commands = {
      "node -e 0": ["-e", "0"],
      "tidings --version": [command, "--version"],
      "tidings list": [command, "list"]
    }
    const starts = turns(commands, env)
    const cpu = compare(cpuTurns(commands, env, folder), "node -e 0", { "tidings list": { atMost: 2.4 } }, "ms")
    const rows = compare(starts, "node -e 0", {}, "ms").map((row) =>
      row.ratio === undefined ? row : { ...row, bar: "under 150 ms", met: row.cost < 150 }
    )

    const script = (name: string, imports: ReadonlyArray<string>): string => {
      const file = resolve("benchmarks", `.${name}.mjs`)
      writeFileSync(file, imports.map((one) => `import "${one}"`).join("\n"))
      return file
    }
    const bare = script(
      "effect",
      EFFECT_MODULES.map((one) => `effect/${one}`)
    )
    const core = script("core", ["@tidings/core"])
    try {
      buildPackage("@tidings/core")
      const imports = turns(
        { "the same modules of Effect": [bare], "@tidings/core": [core] },
        { ...process.env, NODE_OPTIONS: "" }
      )
      return [
        { title: "Start the command", rows },
        { title: "Start the command (CPU)", rows: cpu },
        {
          title: "Import the library",
          rows: compare(imports, "the same modules of Effect", { "@tidings/core": { atMost: 1.2 } }, "ms")
        },
        await host(folder),
        ...(isOnCluster ? await listing.run(command) : [])
      ]
    } finally {
      rmSync(bare, { force: true })
      rmSync(core, { force: true })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
