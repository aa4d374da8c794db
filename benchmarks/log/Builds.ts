/**
 * The programs that are measured beside one another: this build of the event log, the first release, and their peers.
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { join, resolve } from "node:path"
import type { PeerJob, PeerMeasured } from "./peers.ts"
import type { Job, Measured } from "./worker.ts"

/** The commit of the first release. */
const FIRST_RELEASE = "e3eccf9888b6d2289d5eec98e6485cac4b4ba62b"

/** The worker and what it imports of the benchmarks, which import nothing else of them. */
const WORKER = ["log/worker", "log/events", "log/rounds", "Measurement"]

/** A build in whose packages a worker can run. */
export interface Build {
  readonly name: string
  readonly worker: string
}

const execute = (command: string, args: ReadonlyArray<string>, cwd: string): void => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8", maxBuffer: 1 << 26 })
  if (status !== 0) {
    throw new Error(`${command} ${args.join(" ")} failed in ${cwd}: ${error?.message ?? ""}${stdout}${stderr}`)
  }
}

/**
 * Puts the worker into a folder as JavaScript, because the compiler of types that Node loads otherwise takes memory that is not the
 * log's, and answers its path.
 */
const workerIn = (folder: string): string => {
  mkdirSync(join(folder, "log"), { recursive: true })
  for (const name of WORKER) {
    const source = readFileSync(resolve("benchmarks", `${name}.ts`), "utf8")
    writeFileSync(
      join(folder, `${name}.js`),
      stripTypeScriptTypes(source).replaceAll(/ from "(\..*)\.ts"/g, ' from "$1.js"')
    )
  }
  return join(folder, "log", "worker.js")
}

export const current = (): Build => {
  execute("npx", ["--no-install", "turbo", "run", "build", "--filter=tidings"], ".")
  return { name: "Tidings", worker: workerIn(resolve("benchmarks/.scratch-log")) }
}

/** Checks the first release out and builds it, once; `directory` names a build that is there already. */
export const firstRelease = (directory: string | undefined): Build => {
  const root = resolve(directory ?? "benchmarks/.first-release")
  if (directory === undefined && !existsSync(join(root, "packages/tidings/dist/index.js"))) {
    rmSync(root, { recursive: true, force: true })
    mkdirSync(root, { recursive: true })
    const archive = join(root, "first-release.tar")
    execute("git", ["archive", "--output", archive, FIRST_RELEASE], ".")
    execute("tar", ["-xf", archive], root)
    rmSync(archive)
    execute("npm", ["ci", "--no-audit", "--no-fund"], root)
    execute("npx", ["--no-install", "turbo", "run", "build", "--filter=tidings"], root)
  }
  if (!existsSync(join(root, "packages/tidings/dist/index.js"))) throw new Error(`there is no build in ${root}`)
  // Inside of its checkout, so that it imports the packages that are there.
  return { name: "first release", worker: workerIn(join(root, "benchmarks/.scratch-log")) }
}

/** A program that measures a job and is running. */
export interface Running<A> {
  readonly child: ReturnType<typeof spawn>
  readonly done: Promise<A>
}

const startProgram = <A>(file: string, job: object): Running<A> => {
  const child = spawn(
    process.execPath,
    ["--expose-gc", "--disable-warning=ExperimentalWarning", file, JSON.stringify(job)],
    {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
      env: { ...process.env, NODE_OPTIONS: "" }
    }
  )
  let printed = ""
  child.stdout!.on("data", (chunk) => (printed += String(chunk)))
  const done = new Promise<A>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) =>
      code === 0
        ? resolve(JSON.parse(printed.trim().split("\n").at(-1)!) as A)
        : reject(new Error(`${JSON.stringify(job)} ended with exit code ${code}`))
    )
  })
  return { child, done }
}

export const start = ({ worker }: Build, job: Job): Running<Measured> => startProgram(worker, job)

export const measure = (build: Build, job: Job): Promise<Measured> => start(build, job).done

/** What else people write events with. */
export const measurePeer = (job: PeerJob): Promise<PeerMeasured> =>
  startProgram<PeerMeasured>(resolve("benchmarks/log/peers.ts"), job).done
