import { type ChildProcess, spawn } from "node:child_process"
import { parseArgs } from "node:util"
import { onNpmGone } from "./Ancestors.ts"
import { defaultCacheDirectory, formatElapsed, logToStandardError } from "./Build.ts"
import * as Cluster from "./Cluster.ts"
import { ClusterError, messageOf, type Reason, throwIfAborted } from "./ClusterError.ts"

const usage = `A real Kubernetes API server and its etcd on this machine, built from source with Go.

  npm run cluster                           start one, print what to export, wait for Ctrl-C, end it
  npm run cluster -- --exec "COMMAND"       start one, run a shell command in it, end it, exit with the command's code
  npm run cluster -- --do FAULT             do something to the one that $KUBECONFIG leads to
  npm run cluster -- --build                only build the programs, or find them built

The first start on a machine builds kube-apiserver, etcd and kubectl, which takes minutes; later ones take seconds.
Data, certificate, tokens and kubeconfig are fresh each time and gone afterwards, also when this command is killed.
No controllers, scheduler or nodes run: objects are stored, and nothing acts on them.

Contexts of the kubeconfig: admin (may do everything; the current one), and writer, reader, user, nobody, who are in
the group system:serviceaccounts and may do what you grant them.

Options for the start:
  --event-ttl DURATION            forget Events so long after their last write (default 1h)
  --compaction-interval DURATION  discard history so often: older resource versions answer 410 (default 5m)
  --event-rate-limit [TYPE=]QPS[/BURST]
                                  answer 429 beyond QPS Events per second; TYPE says what is counted apart: Namespace
                                  (default), Server, User or SourceAndObject; BURST is QPS by default; repeatable
  --request-timeout DURATION      answer 504 after so long (default 1m)
  --api-server-flag --NAME=VALUE  a further flag for kube-apiserver; repeatable
  --etcd-flag --NAME=VALUE        a further flag for etcd; repeatable
  --port NUMBER                   port of the API server (default: a free one)
  --etcd-port NUMBER              port of etcd (default: a free one)
  --keep                          leave the directory with logs and data behind
  --cache DIRECTORY               where the built programs are kept
                                  (default ${defaultCacheDirectory()})
  --quiet                         no progress, only errors and results

Faults, for --do (durations are like 20s or 1m30s):
  stop-api-server, kill-api-server, pause-api-server, resume-api-server, start-api-server
  stop-etcd, kill-etcd, pause-etcd, resume-etcd, start-etcd
  status
      stop is SIGTERM and after 5 s SIGKILL; kill is SIGKILL, or --signal NAME (${Cluster.killSignals.join(", ")});
      pause is SIGSTOP. start-api-server takes the options of the start that are the API server's; they stay.
  --kubeconfig FILE               of the cluster to do it to (default $KUBECONFIG)

Exit codes: the command's with --exec; 1 something failed, 2 wrong usage, 3 Go is missing or too old.
`

const exitCodes: Partial<Record<Reason, number>> = { Option: 2, NoGo: 3, Interrupted: 130 }

const faults: Readonly<Record<string, keyof Cluster.Faults>> = {
  "stop-api-server": "stopApiServer",
  "start-api-server": "startApiServer",
  "kill-api-server": "killApiServer",
  "pause-api-server": "pauseApiServer",
  "resume-api-server": "resumeApiServer",
  "stop-etcd": "stopEtcd",
  "start-etcd": "startEtcd",
  "kill-etcd": "killEtcd",
  "pause-etcd": "pauseEtcd",
  "resume-etcd": "resumeEtcd",
  "status": "status"
}

const readArguments = () => {
  try {
    return parseArgs({
      options: {
        "exec": { type: "string" },
        "do": { type: "string" },
        "build": { type: "boolean" },
        "event-ttl": { type: "string" },
        "compaction-interval": { type: "string" },
        "event-rate-limit": { type: "string", multiple: true },
        "request-timeout": { type: "string" },
        "api-server-flag": { type: "string", multiple: true },
        "etcd-flag": { type: "string", multiple: true },
        "port": { type: "string" },
        "etcd-port": { type: "string" },
        "keep": { type: "boolean" },
        "cache": { type: "string" },
        "quiet": { type: "boolean" },
        "signal": { type: "string" },
        "kubeconfig": { type: "string" },
        "help": { type: "boolean", short: "h" }
      }
    }).values
  } catch (error) {
    throw new ClusterError("Option", `${messageOf(error)}\nsee npm run cluster -- --help`)
  }
}
type Arguments = ReturnType<typeof readArguments>

const refuse = (message: string): never => {
  throw new ClusterError("Option", message)
}

const limitTypes: Readonly<Record<string, Cluster.EventRateLimit["type"]>> = {
  Namespace: "Namespace",
  Server: "Server",
  User: "User",
  SourceAndObject: "SourceAndObject"
}

const parseLimit = (text: string): Cluster.EventRateLimit => {
  const [, type = "Namespace", qps, burst = qps] = /^(?:(\w+)=)?(\d+)(?:\/(\d+))?$/.exec(text) ?? []
  return qps === undefined || !Object.hasOwn(limitTypes, type)
    ? refuse(
        `--event-rate-limit ${text}: write [TYPE=]QPS[/BURST] with one of the types ${Object.keys(limitTypes).join(", ")}, like User=5/10`
      )
    : { type: limitTypes[type], qps: Number(qps), burst: Number(burst) }
}

const apiServerOptions = (args: Arguments): Cluster.ApiServerOptions => ({
  ...(args["event-ttl"] === undefined ? {} : { eventTtl: args["event-ttl"] }),
  ...(args["compaction-interval"] === undefined ? {} : { compactionInterval: args["compaction-interval"] }),
  ...(args["event-rate-limit"] === undefined ? {} : { eventRateLimit: args["event-rate-limit"].map(parseLimit) }),
  ...(args["request-timeout"] === undefined ? {} : { requestTimeout: args["request-timeout"] }),
  ...(args["api-server-flag"] === undefined ? {} : { apiServerArguments: args["api-server-flag"] })
})

const port = (name: "port" | "etcd-port", args: Arguments): number | undefined => {
  const text = args[name]
  return text === undefined || /^\d+$/.test(text)
    ? text === undefined
      ? undefined
      : Number(text)
    : refuse(`--${name} ${text}: a port is a whole number from 1 to 65535`)
}

const doFault = async (name: string, args: Arguments): Promise<void> => {
  const fault = Object.hasOwn(faults, name) ? faults[name] : undefined
  if (fault === undefined) {
    return refuse(`--do ${name}: one of ${Object.keys(faults).join(", ")} can be done`)
  }
  const options = apiServerOptions(args)
  if (fault !== "startApiServer" && Object.keys(options).length > 0) {
    return refuse(`--do ${name} takes no options of the API server; start-api-server does`)
  }
  const cluster = Cluster.attach(args.kubeconfig)
  if (fault === "killApiServer" || fault === "killEtcd") {
    const signal = Cluster.killSignals.find((known) => known === (args.signal ?? "SIGKILL"))
    return signal === undefined
      ? refuse(`--signal ${args.signal}: one of ${Cluster.killSignals.join(", ")} ends a server`)
      : cluster[fault](signal)
  }
  if (args.signal !== undefined) {
    return refuse(`--do ${name} takes no --signal; kill-api-server and kill-etcd do`)
  }
  if (fault === "status") {
    process.stdout.write(`${JSON.stringify(await cluster.status(), undefined, 2)}\n`)
    return
  }
  await (fault === "startApiServer" ? cluster.startApiServer(options) : cluster[fault]())
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const printExports = (cluster: Cluster.Cluster): void => {
  process.stdout.write(
    [
      `export KUBECONFIG=${quote(cluster.kubeconfig)}`,
      `export KUBECACHEDIR=${quote(cluster.environment["KUBECACHEDIR"] ?? "")}`,
      `export PATH=${quote(cluster.tools.directory)}:"$PATH"`,
      ""
    ].join("\n")
  )
}

const echoMillis = 500
const abandonedGraceMillis = 5_000

type Interrupt = (signal: NodeJS.Signals) => void

const runCommand = async (
  cluster: Cluster.Cluster,
  command: string,
  onInterrupt: (handler: Interrupt) => void
): Promise<number> => {
  // A command on a terminal stays in the terminal's foreground group, or it could not read from it; the terminal then
  // gives it Ctrl-C by itself. Anywhere else a group of its own lets all that it started be ended with it.
  const isInteractive = process.stdin.isTTY
  const child: ChildProcess = spawn(command, {
    shell: true,
    stdio: "inherit",
    detached: !isInteractive,
    env: { ...process.env, ...cluster.environment }
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", (error) => reject(new ClusterError("Start", `cannot run the command: ${error.message}`)))
    child.once("exit", (code, signal) => resolve(Cluster.exitCode(code, signal)))
  })
  const { pid } = child
  if (pid !== undefined) {
    cluster.adopt(pid, !isInteractive)
    let interrupts = 0
    onInterrupt((signal) => {
      interrupts++
      if (isInteractive && signal === "SIGINT") {
        return
      }
      try {
        process.kill(isInteractive ? pid : -pid, interrupts > 1 ? "SIGKILL" : signal)
      } catch {
        // It has just ended.
      }
    })
  }
  try {
    return await ended
  } finally {
    if (pid !== undefined) {
      cluster.release(pid)
    }
  }
}

const main = async (): Promise<number> => {
  const args = readArguments()
  if (args.help === true) {
    process.stdout.write(usage)
    return 0
  }
  const modes = [args.exec, args.do, args.build].filter((mode) => mode !== undefined)
  if (modes.length > 1) {
    return refuse("only one of --exec, --do and --build can be asked for at a time")
  }
  if (args.do !== undefined) {
    await doFault(args.do, args)
    return 0
  }
  if (args.signal !== undefined || args.kubeconfig !== undefined) {
    return refuse("--signal and --kubeconfig are for --do")
  }

  const progress = args.quiet === true ? () => {} : logToStandardError
  const abort = new AbortController()
  let isOver = false
  let interrupt: Interrupt = () => abort.abort()
  let lastAsked = Number.NEGATIVE_INFINITY
  const onSignal = (signal: NodeJS.Signals): void => {
    // A Ctrl-C comes from the terminal, and again from those in front of this process who pass it on.
    const isEcho = performance.now() - lastAsked < echoMillis
    lastAsked = performance.now()
    if (isEcho) {
      return
    }
    if (isOver) {
      // Asked again while ending: what holds the cluster ends it at once when this process goes.
      process.exit(Cluster.exitCode(null, signal))
    }
    interrupt(signal)
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, onSignal)
  }
  onNpmGone(() => {
    onSignal("SIGTERM")
    // Nobody is left to send a second signal.
    setTimeout(() => onSignal("SIGTERM"), abandonedGraceMillis).unref()
  })
  const buildOptions = { progress, signal: abort.signal, cacheDirectory: args.cache }
  if (args.build === true) {
    const tools = await Cluster.build(buildOptions)
    process.stdout.write(`${tools.directory}\n`)
    return 0
  }

  const started = performance.now()
  const cluster = await Cluster.start({
    ...buildOptions,
    ...apiServerOptions(args),
    port: port("port", args),
    etcdPort: port("etcd-port", args),
    etcdArguments: args["etcd-flag"],
    keepDirectory: args.keep,
    onUnexpectedEnd: (part, ending) =>
      logToStandardError(
        `${part} ended (${Cluster.describeEnding(ending)}); start it again with --do start-${part === "etcd" ? part : "api-server"}`
      )
  })
  progress(
    `Kubernetes ${cluster.tools.version} at ${cluster.server}, ready after ${formatElapsed(performance.now() - started)}`
  )
  if (args.keep === true) {
    progress(`logs and data stay in ${cluster.directory}`)
  }
  let code = 0
  try {
    throwIfAborted(abort.signal)
    if (args.exec !== undefined) {
      code = await runCommand(cluster, args.exec, (handler) => {
        interrupt = handler
      })
    } else {
      const asked = new Promise<true>((resolve) => {
        interrupt = () => resolve(true)
      })
      printExports(cluster)
      progress("waiting; Ctrl-C ends it")
      if ((await Promise.race([asked, cluster.ended])) === undefined) {
        throw new ClusterError("NotRunning", "the process that holds the servers was killed, and the cluster with it")
      }
    }
  } finally {
    isOver = true
    await cluster.stop()
  }
  return code
}

// A reader that went away is no reason to end with a stack.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", () => {})
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`cluster: ${messageOf(error)}\n`)
  process.exitCode = error instanceof ClusterError ? (exitCodes[error.reason] ?? 1) : 1
}
