/**
 * Who we are to the API server, read again when it may have changed.
 */
import * as BackendError from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as fs from "node:fs/promises"
import type { RequestOptions } from "node:https"
import type * as kubeconfig from "./kubeconfig.ts"

/**
 * What a TLS connection is made with.
 *
 * @internal
 */
export type Tls = Pick<
  RequestOptions,
  "ca" | "cert" | "key" | "pfx" | "passphrase" | "servername" | "rejectUnauthorized"
>

/** @internal */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>
  readonly tls: Tls
  /** Equal as long as connections can be kept. */
  readonly fingerprint: string
  /** Counts the times that everything was read anew. */
  readonly generation: number
}

/** @internal */
export interface Source {
  readonly get: Effect.Effect<Credentials, BackendError.BackendError>
  /** After a 401: reads everything anew, also what plugins cached; the same ones when that was done just now. */
  readonly renew: (refused: Credentials) => Effect.Effect<Credentials, BackendError.BackendError>
  /** After a failed TLS handshake: looks at the files again before the next request. */
  readonly expire: () => void
}

/** How long what was read counts. The files are small, and plugins and logins keep their tokens themselves. */
const CHECK_MILLIS = 10_000

/** How long a renewal counts: what the server refuses now, it refuses a moment later. */
const RENEWAL_MILLIS = 5_000

const PLUGIN_TIMEOUT = "1 minute"

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).trim()

const unauthorized = (detail: string, cause?: unknown) =>
  BackendError.make(new BackendError.Unauthorized({ detail }), cause)

const textOf = (material: Tls[keyof Tls]): string =>
  Array.isArray(material)
    ? material.map((one) => (Buffer.isBuffer(one) ? one.toString("base64") : JSON.stringify(one))).join()
    : Buffer.isBuffer(material)
      ? material.toString("base64")
      : String(material)

const fingerprintOf = (tls: Tls): string =>
  [tls.ca, tls.cert, tls.key, tls.pfx, tls.passphrase, tls.servername, tls.rejectUnauthorized].map(textOf).join("\n")

const read = (loaded: kubeconfig.Loaded, generation: number): Effect.Effect<Credentials, BackendError.BackendError> =>
  Effect.tryPromise({
    try: async () => {
      const options: RequestOptions = {}
      await loaded.kubeConfig.applyToHTTPSOptions(options)
      const headers: Record<string, string> = {}
      for (const [name, value] of Object.entries(options.headers ?? {})) {
        if (value !== undefined) headers[name.toLowerCase()] = String(value).trim()
      }
      if (typeof options.auth === "string")
        headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`
      if (loaded.tokenFile !== undefined) {
        headers["authorization"] = `Bearer ${(await fs.readFile(loaded.tokenFile, "utf8")).trim()}`
      }
      const tls: Tls = {}
      for (const key of ["ca", "cert", "key", "pfx", "passphrase", "servername", "rejectUnauthorized"] as const) {
        if (options[key] !== undefined && options[key] !== null) Object.assign(tls, { [key]: options[key] })
      }
      return { headers, tls, fingerprint: fingerprintOf(tls), generation }
    },
    catch: (cause) =>
      unauthorized(
        loaded.plugin === undefined
          ? `the credentials of context ${loaded.context} cannot be read: ${messageOf(cause)}`
          : `${loaded.plugin}, which gives the credentials of context ${loaded.context}, failed: ${messageOf(cause)}`,
        cause
      )
  }).pipe(
    Effect.timeoutOrElse({
      duration: PLUGIN_TIMEOUT,
      orElse: () =>
        Effect.fail(
          unauthorized(
            `${loaded.plugin ?? "reading the files"} of context ${loaded.context} gave no credentials within a minute`
          )
        )
    })
  )

/** @internal */
export const make = (options: {
  readonly loaded: kubeconfig.Loaded
  readonly reload: Effect.Effect<kubeconfig.Loaded, BackendError.BackendError>
  readonly clock: Clock.Clock
}): Source => {
  const { clock } = options
  // One at a time: a login or a plugin must not be started once per request that waits for it.
  const one = Semaphore.makeUnsafe(1)
  let loaded = options.loaded
  let current: Credentials | undefined
  let checkAt = 0
  let renewedAt = Number.NEGATIVE_INFINITY

  const take = (credentials: Credentials): Credentials => {
    current = credentials
    checkAt = clock.currentTimeMillisUnsafe() + CHECK_MILLIS
    return credentials
  }

  const check: Effect.Effect<Credentials, BackendError.BackendError> = one.withPermit(
    Effect.suspend(() => {
      if (current !== undefined && clock.currentTimeMillisUnsafe() < checkAt) return Effect.succeed(current)
      const old = current
      const fresh = Effect.map(read(loaded, old?.generation ?? 0), take)
      // What we have is good until the server says otherwise.
      return old === undefined
        ? fresh
        : Effect.catch(fresh, (error) =>
            Effect.as(Effect.logWarning(`${error.message}; going on with those read before`), take(old))
          )
    })
  )

  return {
    get: Effect.suspend(() =>
      current !== undefined && clock.currentTimeMillisUnsafe() < checkAt ? Effect.succeed(current) : check
    ),
    renew: (refused) =>
      one.withPermit(
        Effect.suspend(() => {
          if (current !== undefined && current.generation !== refused.generation) return Effect.succeed(current)
          const now = clock.currentTimeMillisUnsafe()
          if (now - renewedAt < RENEWAL_MILLIS) return Effect.succeed(refused)
          renewedAt = now
          return options.reload.pipe(
            Effect.flatMap((again) => {
              loaded = again
              return read(again, refused.generation + 1)
            }),
            Effect.map(take)
          )
        })
      ),
    expire: () => {
      checkAt = 0
    }
  }
}
