/**
 * Builds kube-apiserver, etcd and kubectl from this directory's go.mod, once per machine: into a cache outside the
 * repository, whose name is a hash of everything that goes into the binaries.
 */
import { execFile } from "node:child_process"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { ClusterError, messageOf, throwIfAborted } from "./ClusterError.ts"
import * as Keeper from "./Keeper.ts"

/** How to build. */
export interface BuildOptions {
  /** Where built tools are kept. Default: `$XDG_CACHE_HOME/tidings/cluster`, else `~/.cache/tidings/cluster`. */
  readonly cacheDirectory?: string | undefined
  /** Told a line every few seconds while there is something to wait for. Default: lines on standard error. */
  readonly progress?: ((line: string) => void) | undefined
  /** Gives up: what was started is ended, and the promise rejects with `Interrupted`. */
  readonly signal?: AbortSignal | undefined
}

/** The built programs. */
export interface Tools {
  /** Holds nothing but the three programs: made to be put on `PATH`. */
  readonly directory: string
  readonly kubeApiServer: string
  readonly etcd: string
  readonly kubectl: string
  /** Of Kubernetes, such as `v1.37.2`. */
  readonly version: string
}

const moduleDirectory = path.dirname(fileURLToPath(import.meta.url))
const progressMillis = 5_000
const lockHeartbeatMillis = 2_000
// Several heartbeats, so that a machine that is busy compiling does not lose its lock.
const lockStaleMillis = 30_000

const packages = [
  { name: "etcd", path: "go.etcd.io/etcd/server/v3" },
  { name: "kubectl", path: "k8s.io/kubernetes/cmd/kubectl" },
  { name: "kube-apiserver", path: "k8s.io/kubernetes/cmd/kube-apiserver" }
] as const

// Without cgo no C compiler is needed, and a go.work file further up must not take part.
const buildEnvironment = { CGO_ENABLED: "0", GOWORK: "off" }

/** The default of `progress`. */
export const logToStandardError = (line: string): void => {
  process.stderr.write(`cluster: ${line}\n`)
}

/** The default of `cacheDirectory`. */
export const defaultCacheDirectory = (): string => {
  const base = process.env.XDG_CACHE_HOME
  // The XDG specification: a relative path there is to be ignored.
  const root = base !== undefined && path.isAbsolute(base) ? base : path.join(os.homedir(), ".cache")
  return path.join(root, "tidings", "cluster")
}

/** `2m 05s`, `9.4s`. */
export const formatElapsed = (millis: number): string => {
  if (millis < 60_000) {
    return `${(millis / 1000).toFixed(1)}s`
  }
  const seconds = Math.round(millis / 1000)
  return `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, "0")}s`
}

/** The last lines of a file, or nothing if it cannot be read. */
export const tail = (file: string, lines: number): string => {
  try {
    return fs.readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n")
  } catch {
    return ""
  }
}

interface GoEnvironment {
  readonly GOVERSION: string
  readonly GOHOSTOS: string
  readonly GOHOSTARCH: string
}

const goEnvironment = async (): Promise<GoEnvironment> => {
  const names = ["GOVERSION", "GOHOSTOS", "GOHOSTARCH"]
  try {
    const { stdout } = await promisify(execFile)("go", ["env", "-json", ...names], {
      cwd: moduleDirectory,
      env: { ...process.env, ...buildEnvironment }
    })
    const parsed: unknown = JSON.parse(stdout)
    return parsed as GoEnvironment
  } catch (error) {
    const why =
      error instanceof Error && "code" in error && error.code === "ENOENT"
        ? "there is no `go` on the PATH"
        : `\`go env\` failed: ${goComplaint(error)}`
    throw new ClusterError(
      "NoGo",
      `NO GO, NO CLUSTER: ${why}. The API server is built from source: install Go ${goVersionWanted()} or newer (https://go.dev/dl/).`
    )
  }
}

// Go itself says best what is wrong with its version; its last line is the one that matters.
const goComplaint = (error: unknown): string => {
  const stderr = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : ""
  return (stderr === "" ? messageOf(error) : stderr).split("\n").at(-1) ?? ""
}

const readModule = (): string => fs.readFileSync(path.join(moduleDirectory, "go.mod"), "utf8")

const goVersionWanted = (): string => /^go (\d+\.\d+)/m.exec(readModule())?.[1] ?? "the current version"

const kubernetesVersion = (): string => {
  const version = /^\s*k8s\.io\/kubernetes (v\S+)/m.exec(readModule())?.[1]
  if (version === undefined) {
    throw new ClusterError("Build", `${path.join(moduleDirectory, "go.mod")} does not require k8s.io/kubernetes`)
  }
  return version
}

// Without these the server calls itself v0.0.0, and kubectl warns about the difference.
const linkerFlags = (version: string): string => {
  const [major = "", minor = ""] = version.slice(1).split(".")
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "clean" }
  const flags = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((packagePath) =>
    Object.entries(values).map(([name, value]) => `-X ${packagePath}.${name}=${value}`)
  )
  return ["-s", "-w", ...flags].join(" ")
}

/** Builds the tools, or finds them built. Cold this takes minutes, warm some ten milliseconds. */
export const build = async (options: BuildOptions = {}): Promise<Tools> => {
  const progress = options.progress ?? logToStandardError
  throwIfAborted(options.signal)
  const version = kubernetesVersion()
  const go = await goEnvironment()
  const linker = linkerFlags(version)
  const hash = crypto.createHash("sha256")
  for (const part of [
    readModule(),
    fs.readFileSync(path.join(moduleDirectory, "go.sum"), "utf8"),
    go.GOVERSION,
    go.GOHOSTOS,
    go.GOHOSTARCH,
    linker
  ]) {
    hash.update(part).update("\0")
  }
  const home = path.join(
    path.resolve(options.cacheDirectory ?? defaultCacheDirectory()),
    hash.digest("hex").slice(0, 16)
  )
  const directory = path.join(home, "bin")
  const extension = go.GOHOSTOS === "windows" ? ".exe" : ""
  const file = (name: string): string => path.join(directory, name + extension)
  const tools: Tools = {
    directory,
    kubeApiServer: file("kube-apiserver"),
    etcd: file("etcd"),
    kubectl: file("kubectl"),
    version
  }
  const missing = (): ReadonlyArray<(typeof packages)[number]> =>
    packages.filter((tool) => !fs.existsSync(file(tool.name)))
  if (missing().length === 0) {
    return tools
  }

  try {
    fs.mkdirSync(directory, { recursive: true })
  } catch (error) {
    throw new ClusterError("Build", `cannot make the cache directory ${directory}: ${messageOf(error)}`)
  }
  const unlock = await lock(path.join(home, "lock"), progress, options.signal)
  try {
    // The process that had the lock before has probably built what is needed.
    const wanted = missing()
    removeLeftovers(home)
    if (wanted.length > 0) {
      progress(
        `building ${wanted.map((tool) => tool.name).join(", ")} ${version} with ${go.GOVERSION} into ${directory}: ` +
          "once per machine, about 5 minutes on 2 cores when Go's own cache is empty"
      )
      const keeper = Keeper.start()
      try {
        // Go does not clean up when it is killed; this directory goes with the keeper.
        const GOTMPDIR = await keeper.makeDirectory("tidings-cluster-build-", false)
        for (const [index, tool] of wanted.entries()) {
          await buildOne(keeper, {
            what: `${tool.name} (${index + 1} of ${wanted.length})`,
            packagePath: tool.path,
            linker,
            environment: { ...buildEnvironment, GOOS: go.GOHOSTOS, GOARCH: go.GOHOSTARCH, GOTMPDIR },
            log: path.join(home, `build-${tool.name}.log`),
            output: file(tool.name),
            progress,
            signal: options.signal
          })
        }
      } finally {
        await keeper.end()
      }
    }
  } finally {
    unlock()
  }
  return tools
}

// Left by a build that was killed: under the lock no other process writes one.
const removeLeftovers = (home: string): void => {
  for (const name of fs.readdirSync(home)) {
    if (name.endsWith(".tmp")) {
      fs.rmSync(path.join(home, name), { force: true })
    }
  }
}

interface BuildOneOptions {
  readonly what: string
  readonly packagePath: string
  readonly linker: string
  readonly environment: Readonly<Record<string, string>>
  readonly log: string
  readonly output: string
  readonly progress: (line: string) => void
  readonly signal: AbortSignal | undefined
}

const buildOne = async (keeper: Keeper.Keeper, options: BuildOneOptions): Promise<void> => {
  const started = performance.now()
  const elapsed = (): string => formatElapsed(performance.now() - started)
  // Beside the final place, so that the rename is on one file system and therefore atomic.
  const temporary = path.join(path.dirname(options.log), `${path.basename(options.output)}.${process.pid}.tmp`)
  throwIfAborted(options.signal)
  fs.rmSync(options.log, { force: true })
  const child = await keeper.run({
    command: "go",
    arguments: [
      "build",
      "-v",
      "-trimpath",
      "-buildvcs=false",
      "-mod=readonly",
      "-ldflags",
      options.linker,
      "-o",
      temporary,
      options.packagePath
    ],
    cwd: moduleDirectory,
    environment: options.environment,
    log: options.log
  })
  const onAbort = (): void => child.signal("SIGKILL")
  options.signal?.addEventListener("abort", onAbort)
  const timer = setInterval(() => {
    options.progress(`building ${options.what}: ${describeLog(options.log)}, ${elapsed()}`)
  }, progressMillis)
  try {
    const ending = await child.ended
    throwIfAborted(options.signal)
    if (ending.code !== 0) {
      throw new ClusterError(
        "Build",
        `go build ${options.packagePath} failed after ${elapsed()} ` +
          `(${ending.signal === null ? `exit code ${ending.code}` : `ended by ${ending.signal}`}); its last words:\n` +
          tail(options.log, 20)
      )
    }
    fs.renameSync(temporary, options.output)
    options.progress(`built ${options.what} in ${elapsed()}`)
  } finally {
    clearInterval(timer)
    options.signal?.removeEventListener("abort", onAbort)
    fs.rmSync(temporary, { force: true })
  }
}

// `go build -v` names each package as its compilation begins, and each module that it downloads.
const describeLog = (log: string): string => {
  const lines = tail(log, Number.MAX_SAFE_INTEGER)
    .split("\n")
    .filter((line) => line !== "")
  const last = lines.at(-1)
  if (last === undefined) {
    return "no package compiled yet"
  }
  const compiled = lines.filter((line) => !line.startsWith("go: ")).length
  return last.startsWith("go: ") ? last.slice("go: ".length) : `${compiled} packages compiled, now ${last}`
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/**
 * One build at a time per cache directory. A lock whose holder died is taken over. Should two take it at once after
 * all, then both build the same and rename it into place: wasteful, not wrong.
 */
const lock = async (
  file: string,
  progress: (line: string) => void,
  signal: AbortSignal | undefined
): Promise<() => void> => {
  const mine = `${process.pid} ${os.hostname()} ${crypto.randomUUID()}`
  const started = performance.now()
  let said = started - progressMillis
  for (;;) {
    throwIfAborted(signal)
    try {
      fs.writeFileSync(file, mine, { flag: "wx", mode: 0o600 })
      break
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
        throw new ClusterError("Build", `cannot lock the cache: ${messageOf(error)}`)
      }
    }
    const holder = readLock(file)
    if (holder !== undefined && holder.isStale) {
      takeAway(file, holder.text)
      continue
    }
    if (performance.now() - said >= progressMillis) {
      said = performance.now()
      progress(
        `another process${holder === undefined ? "" : ` (${holder.pid})`} is building the same; waiting, ` +
          formatElapsed(performance.now() - started)
      )
    }
    await sleep(200)
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    try {
      fs.utimesSync(file, now, now)
    } catch {
      // The cache was removed; the build will say so.
    }
  }, lockHeartbeatMillis)
  heartbeat.unref()
  return () => {
    clearInterval(heartbeat)
    if (readLock(file)?.text === mine) {
      fs.rmSync(file, { force: true })
    }
  }
}

const readLock = (
  file: string
): { readonly text: string; readonly pid: number; readonly isStale: boolean } | undefined => {
  try {
    const text = fs.readFileSync(file, "utf8")
    const age = Date.now() - fs.statSync(file).mtimeMs
    const [pid = "", host = ""] = text.split(" ")
    // An empty file is one that its holder is just writing. A home directory may be shared between machines, and a
    // process number says nothing on another one.
    const isDead = text !== "" && host === os.hostname() && !isAlive(Number(pid))
    return { text, pid: Number(pid), isStale: isDead || age > lockStaleMillis }
  } catch {
    return undefined
  }
}

// A rename has one winner. If what was moved is not what was seen to be stale, it was a new holder's: it goes back.
const takeAway = (file: string, stale: string): void => {
  const aside = `${file}.${crypto.randomUUID()}`
  try {
    fs.renameSync(file, aside)
    if (fs.readFileSync(aside, "utf8") !== stale) {
      fs.linkSync(aside, file)
    }
  } catch {
    // Another process was faster.
  }
  fs.rmSync(aside, { force: true })
}
