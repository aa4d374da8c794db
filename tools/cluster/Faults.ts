/** The faults of a cluster: its two servers end, start, stop answering and go on. */
import type { ApiServerOptions } from "./Options.ts"

/** Whether a server runs. */
export interface PartStatus {
  readonly running: boolean
  readonly paused: boolean
  readonly pid?: number | undefined
  readonly port: number
}

/** What runs and what does not. */
export interface Status {
  /** Such as `https://127.0.0.1:21876`. */
  readonly server: string
  readonly directory: string
  readonly apiServer: PartStatus
  readonly etcd: PartStatus
}

/** How to end a server. */
export interface StopOptions {
  /** Milliseconds between SIGTERM and SIGKILL. Default: 5,000. */
  readonly grace?: number | undefined
}

/** How to start the API server again. */
export interface StartApiServerOptions extends ApiServerOptions {
  /**
   * Resolve when `/readyz` is ok; otherwise as soon as the process runs, to see what clients see meanwhile.
   * Default: true.
   */
  readonly waitUntilReady?: boolean | undefined
}

/** How to start etcd again. */
export interface StartEtcdOptions {
  /**
   * Without the data it had: with an API server that starts after it, another cluster at the same address, with the same
   * certificate and tokens. Default: false.
   */
  readonly empty?: boolean | undefined
}

/** Signals that end a server. */
export const killSignals = ["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT"] as const
export type KillSignal = (typeof killSignals)[number]

/** The faults. Ports, certificate, tokens and data stay the same over all of them. */
export interface Faults {
  /** SIGTERM, and SIGKILL after the grace period. New connections are refused at once, open watches go on for a while. */
  readonly stopApiServer: (options?: StopOptions) => Promise<void>
  /** Starts it again, with what it had before and these changes, which stay. */
  readonly startApiServer: (options?: StartApiServerOptions) => Promise<void>
  /** Resolves when it has ended. Default: SIGKILL. */
  readonly killApiServer: (signal?: KillSignal) => Promise<void>
  /** SIGSTOP: connections stay open and nothing is answered on them. */
  readonly pauseApiServer: () => Promise<void>
  readonly resumeApiServer: () => Promise<void>
  /** SIGTERM, and SIGKILL after the grace period. */
  readonly stopEtcd: (options?: StopOptions) => Promise<void>
  /** Starts it again on the same data; resolves when it serves. The API server finds it within some ten seconds. */
  readonly startEtcd: (options?: StartEtcdOptions) => Promise<void>
  /** Resolves when it has ended. Default: SIGKILL. */
  readonly killEtcd: (signal?: KillSignal) => Promise<void>
  /** SIGSTOP: requests hang, and writes are answered 504 after half a minute. */
  readonly pauseEtcd: () => Promise<void>
  readonly resumeEtcd: () => Promise<void>
  readonly status: () => Promise<Status>
}
