/**
 * Runs credential plugins as kubectl does: programs that print a token or a client certificate, and may have to ask a
 * person for a login first.
 *
 * Of each plugin one process runs at a time, also when several connections use it. It goes on when the request that started
 * it is cancelled. It is ended with its children when the last connection closes or after its timeout.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as tty from "node:tty"
import { type Fields, fieldsOf, isFields, textOf } from "./json.ts"
import type { Cluster, Plugin } from "./kubeconfigFile.ts"
import * as processTree from "./processTree.ts"

/**
 * The credentials that a plugin printed.
 *
 * @internal
 */
export interface Answer {
  readonly token: string | undefined
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt: number | undefined
}

/**
 * How plugins are run.
 *
 * @internal
 */
export interface Running {
  /** Whether a plugin that asks for the standard input gets it. */
  readonly interactive: boolean
  /** How long a plugin may run. */
  readonly timeoutMillis: number
}

/** Minimum time after a failure: many requests may wait for a plugin, and each login may open a browser window. */
const FAILURE_MILLIS = 5_000

/** How long output is read after the end of a plugin whose children still have its output open. */
const LAST_OUTPUT_MILLIS = 1_000

const MAXIMUM_OUTPUT = 4 * 1024 * 1024

const MAXIMUM_COMPLAINT = 2_048

const ABANDONED = "no request waits for it any more"

const API_VERSIONS = new Set(["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"])

/** Replaces control characters by their code points, so that the output of a plugin cannot control a terminal. */
const printable = (text: string): string =>
  text.replace(
    /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Z}\t-\r]/gu,
    (one) => `U+${one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`
  )

const isTerminal = (descriptor: number): boolean => {
  try {
    return tty.isatty(descriptor)
  } catch {
    return false
  }
}

/** Whether a plugin gets the standard input. Throws where kubectl refuses to start it. */
const isInteractive = (plugin: Plugin, { interactive }: Running): boolean => {
  switch (plugin.interactiveMode) {
    case "Always":
      if (!isTerminal(0)) throw new Error("it needs input from a person, and standard input is not a terminal")
      if (!interactive) throw new Error("it needs input from a person, and standard input is already in use")
      return true
    case "IfAvailable":
      return interactive && isTerminal(0)
    default:
      return false
  }
}

/** `spec.cluster` in `KUBERNETES_EXEC_INFO`. */
const clusterInfo = (cluster: Cluster, ca: Buffer | undefined) => ({
  server: cluster.server ?? "",
  ...(cluster.tlsServerName === undefined ? undefined : { "tls-server-name": cluster.tlsServerName }),
  ...(cluster.insecureSkipTlsVerify ? { "insecure-skip-tls-verify": true } : undefined),
  ...(ca === undefined ? undefined : { "certificate-authority-data": ca.toString("base64") }),
  ...(cluster.proxyUrl === undefined ? undefined : { "proxy-url": cluster.proxyUrl }),
  ...(cluster.disableCompression ? { "disable-compression": true } : undefined),
  config: cluster.pluginConfig ?? null
})

/** Finds a program as Go does: in the PATH of this process, and not in that of `env`. */
const lookUp = (command: string): string | undefined => {
  if (process.platform === "win32" || command.includes("/")) return command
  for (const directory of (process.env["PATH"] ?? "").split(path.delimiter)) {
    // As in Go, a program in the current directory is not found by its bare name.
    if (!path.isAbsolute(directory)) continue
    const file = path.join(directory, command)
    try {
      if (!fs.statSync(file).isFile()) continue
      fs.accessSync(file, fs.constants.X_OK)
      return file
    } catch {
      // Not in this directory.
    }
  }
  return undefined
}

const notFound = (plugin: Plugin): Error =>
  new Error(`it was not found${plugin.installHint === undefined ? "" : `\n\n${printable(plugin.installHint)}`}`)

/** The text in a field of the status. */
const textIn = (status: Fields, key: string): string | undefined => {
  const value = status[key]
  if (value !== undefined && value !== null && typeof value !== "string")
    throw new Error(`its status.${key} is not text`)
  return textOf(value)
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

const parse = async (output: string): Promise<unknown> => {
  try {
    return JSON.parse(output)
  } catch {
    const { parseYaml } = await import("./kubeconfigFile.ts")
    try {
      return parseYaml(output)
    } catch {
      return undefined
    }
  }
}

/** Errors never quote the output, because it may be a secret. */
const answerIn = async (output: string, plugin: Plugin): Promise<Answer> => {
  const printed = fieldsOf(await parse(output))
  if (printed["kind"] !== "ExecCredential") throw new Error("it printed no ExecCredential")
  if (printed["apiVersion"] !== plugin.apiVersion) {
    throw new Error(`it printed an ExecCredential of ${String(printed["apiVersion"])}, and not of ${plugin.apiVersion}`)
  }
  const { status } = printed
  if (!isFields(status)) throw new Error("it printed an ExecCredential without a status")
  const token = textIn(status, "token")
  const cert = textIn(status, "clientCertificateData")
  const key = textIn(status, "clientKeyData")
  const expires = textIn(status, "expirationTimestamp")
  if (token === undefined && cert === undefined && key === undefined) {
    throw new Error("it printed neither a token nor a client certificate")
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error(
      `it printed a client ${cert === undefined ? "key without a certificate" : "certificate without a key"}`
    )
  }
  if (expires !== undefined && !TIME.test(expires))
    throw new Error("its status.expirationTimestamp is not an RFC 3339 time")
  return {
    token,
    certificate: cert === undefined || key === undefined ? undefined : { cert, key },
    expiresAt: expires === undefined ? undefined : Date.parse(expires)
  }
}

/** The plugins that run, to be ended when this process exits. */
const running = new Set<ChildProcess>()

const endAll = (): void => {
  for (const { pid } of running) if (pid !== undefined) processTree.terminate(pid)
}

const started = (child: ChildProcess): void => {
  if (running.size === 0) process.on("exit", endAll)
  running.add(child)
}

const ended = (child: ChildProcess): void => {
  running.delete(child)
  if (running.size === 0) process.off("exit", endAll)
}

/** Runs a plugin and gives its output. `signal` ends it. */
const run = (
  plugin: Plugin,
  cluster: ReturnType<typeof clusterInfo> | undefined,
  how: Running,
  signal: AbortSignal
): Promise<string> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) throw new Error(ABANDONED)
    const interactive = isInteractive(plugin, how)
    const program = lookUp(plugin.command)
    if (program === undefined) throw notFound(plugin)
    const information = JSON.stringify({
      kind: "ExecCredential",
      apiVersion: plugin.apiVersion,
      spec: { ...(cluster === undefined ? undefined : { cluster }), interactive }
    })
    // On a terminal, the plugin writes to it directly. Elsewhere its output is passed on, and the end of it is in the error.
    const passOn = !isTerminal(2)
    const child = spawn(program, plugin.args, {
      argv0: plugin.command,
      env: {
        ...process.env,
        ...Object.fromEntries(plugin.env.map(({ name, value }) => [name, value])),
        KUBERNETES_EXEC_INFO: information
      },
      stdio: [interactive ? "inherit" : "ignore", "pipe", passOn ? "pipe" : "inherit"],
      windowsHide: true
    })
    started(child)
    const millis = how.timeoutMillis
    let output = ""
    let complaint = ""
    let failure: Error | undefined
    let timer: NodeJS.Timeout | undefined

    const stop = (why: Error): void => {
      if (failure !== undefined) return
      failure = why
      const { pid } = child
      const finished = pid === undefined ? Promise.resolve() : processTree.end(pid)
      void finished.then(() => settle(null))
    }
    const settle = (code: number | null): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", onAbort)
      child.stdout?.destroy()
      child.stderr?.destroy()
      ended(child)
      if (failure !== undefined) return reject(failure)
      if (code === 0) return resolve(output)
      const said = printable(complaint.trim())
      reject(
        new Error(
          `it failed with ${code === null ? `the signal ${child.signalCode}` : `exit code ${code}`}${said === "" ? "" : `: ${said}`}`
        )
      )
    }
    const onAbort = (): void => stop(new Error(ABANDONED))

    timer = setTimeout(
      () => stop(new Error(`it gave no credentials within ${Math.round(millis / 1_000)} seconds, and was stopped`)),
      millis
    )
    signal.addEventListener("abort", onAbort)
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk
      if (output.length > MAXIMUM_OUTPUT) stop(new Error("it printed more than 4 MiB"))
    })
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      process.stderr.write(chunk)
      complaint = (complaint + chunk).slice(-MAXIMUM_COMPLAINT)
    })
    child.on("error", (error: NodeJS.ErrnoException) => {
      failure ??= error.code === "ENOENT" || error.code === "EACCES" ? notFound(plugin) : error
      settle(null)
    })
    child.on("exit", (code) => {
      if (failure !== undefined) return
      clearTimeout(timer)
      timer = setTimeout(() => settle(code), LAST_OUTPUT_MILLIS)
      child.on("close", () => {
        if (failure === undefined) settle(code)
      })
    })
  })

/**
 * A plugin as one cluster uses it.
 *
 * @internal
 */
export interface CredentialPlugin {
  /** The last credentials while they are valid, else new ones. Rejects with the error of the plugin. */
  readonly get: (now: () => number) => Promise<Answer>
  /** Discards these credentials, so that the next `get` runs the plugin, unless there are newer ones. */
  readonly forget: (answer: Answer) => void
  /** Whether it runs now. */
  readonly isRunning: () => boolean
  /** Ends the plugin where no other connection uses it. */
  readonly close: () => void
}

class SharedPlugin {
  users = 0
  private readonly run: (signal: AbortSignal) => Promise<Answer>
  private readonly controller = new AbortController()
  private answer: Answer | undefined
  private underWay: Promise<Answer> | undefined
  private failure: { readonly error: unknown; readonly until: number } | undefined

  constructor(run: (signal: AbortSignal) => Promise<Answer>) {
    this.run = run
  }

  get(now: () => number): Promise<Answer> {
    if (this.underWay !== undefined) return this.underWay
    const { answer, failure } = this
    if (answer !== undefined && (answer.expiresAt === undefined || now() <= answer.expiresAt))
      return Promise.resolve(answer)
    if (failure !== undefined && now() < failure.until) return Promise.reject(failure.error)
    this.underWay = this.run(this.controller.signal).then(
      (given) => {
        this.underWay = undefined
        this.failure = undefined
        this.answer = given
        return given
      },
      (error: unknown) => {
        this.underWay = undefined
        this.failure = { error, until: now() + FAILURE_MILLIS }
        throw error
      }
    )
    // The callers may have been interrupted.
    this.underWay.catch(() => undefined)
    return this.underWay
  }

  forget(answer: Answer): void {
    if (this.answer === answer) this.answer = undefined
  }

  isRunning(): boolean {
    return this.underWay !== undefined
  }

  end(): void {
    this.controller.abort()
  }
}

/** The plugins that connections of this process use, by configuration. */
const shared = new Map<string, SharedPlugin>()

/**
 * Makes a plugin available. Nothing runs yet.
 *
 * @internal
 */
export const open = (plugin: Plugin, cluster: Cluster, ca: Buffer | undefined, how: Running): CredentialPlugin => {
  const info = plugin.provideClusterInfo ? clusterInfo(cluster, ca) : undefined
  const key = JSON.stringify([plugin, info, how])
  const one =
    shared.get(key) ?? new SharedPlugin(async (signal) => answerIn(await run(plugin, info, how, signal), plugin))
  shared.set(key, one)
  one.users++
  let isOpen = true
  return {
    get: (now) => one.get(now),
    forget: (answer) => one.forget(answer),
    isRunning: () => one.isRunning(),
    close: () => {
      if (!isOpen) return
      isOpen = false
      if (--one.users > 0) return
      shared.delete(key)
      one.end()
    }
  }
}

/**
 * What is wrong in the configuration of a plugin, by the rules of kubectl.
 *
 * @internal
 */
export const problemsOf = (
  { apiVersion, command, env, interactiveMode }: Plugin,
  at: string
): ReadonlyArray<string> => {
  const versions = [...API_VERSIONS].join(", ")
  const modes = ["Never", "IfAvailable", "Always"]
  const isKnownMode = interactiveMode === undefined || modes.includes(interactiveMode)
  return [
    ...(command === "" ? [`${at} has no command`] : []),
    ...(apiVersion === "" ? [`${at} has no apiVersion; name one of ${versions}`] : []),
    ...(apiVersion === "" || API_VERSIONS.has(apiVersion)
      ? []
      : [`${at} has the apiVersion "${apiVersion}"; there are ${versions}`]),
    ...(env.some(({ name }) => name === "") ? [`${at} has a variable without a name in env`] : []),
    ...(interactiveMode === undefined ? [`${at} has no interactiveMode; name one of ${modes.join(", ")}`] : []),
    ...(isKnownMode ? [] : [`${at} has the interactiveMode "${interactiveMode}"; there are ${modes.join(", ")}`])
  ]
}
