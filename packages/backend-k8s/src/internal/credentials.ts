/**
 * The credentials for the API server, read again when they may have changed.
 */
import * as BackendError from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { X509Certificate } from "node:crypto"
import * as fs from "node:fs/promises"
import type { RequestOptions } from "node:https"
import { isatty } from "node:tty"
import type * as credentialPlugin from "./credentialPlugin.ts"
import type * as kubeconfig from "./kubeconfig.ts"
import type { Cluster, User } from "./kubeconfigFile.ts"

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
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | Array<string>>>
  readonly tls: Tls
  /** Of `tls`. Connections are kept while it is equal. */
  readonly fingerprint: string
  /** Number of renewals. */
  readonly generation: number
}

/** @internal */
export interface Source {
  readonly get: Effect.Effect<Credentials, BackendError.BackendError>
  /** After a 401: reads everything again, also what plugins cached. Gives the same ones when that was done a moment ago. */
  readonly renew: (refused: Credentials) => Effect.Effect<Credentials, BackendError.BackendError>
  /** After a failed TLS handshake: reads the files again before the next request. */
  readonly expire: () => void
  /** Whether a login is under way, which may take as long as a person takes. */
  readonly isLoggingIn: () => boolean
}

/** How often files are read. They are small, and plugins and logins keep their tokens themselves. */
const CHECK_MILLIS = 10_000

/** Minimum time between renewals: what the server refuses now, it refuses a moment later. */
const RENEWAL_MILLIS = 5_000

/** How long reading files may take. */
const READ_MILLIS = 60_000

/** Login codes are valid for a quarter of an hour with most identity providers. */
const WITH_A_PERSON_MILLIS = 15 * 60_000

const WITHOUT_A_PERSON_MILLIS = 60_000

/**
 * The default of `loginTimeout`: longer where a person may be at the terminal.
 *
 * @internal
 */
export const loginMillis = (): number => (isatty(0) || isatty(2) ? WITH_A_PERSON_MILLIS : WITHOUT_A_PERSON_MILLIS)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).trim()

const unauthorized = (detail: string, cause?: unknown) =>
  BackendError.make(new BackendError.Unauthorized({ detail }), cause)

const materialText = (material: Tls[keyof Tls]): string =>
  Array.isArray(material)
    ? material.map((one) => (Buffer.isBuffer(one) ? one.toString("base64") : JSON.stringify(one))).join()
    : Buffer.isBuffer(material)
      ? material.toString("base64")
      : String(material)

const fingerprintOf = (tls: Tls): string =>
  [tls.ca, tls.cert, tls.key, tls.pfx, tls.passphrase, tls.servername, tls.rejectUnauthorized]
    .map(materialText)
    .join("\n")

// ---------------------------------------------------------------------------
// headers
// ---------------------------------------------------------------------------

type Headers = Record<string, string | Array<string>>

/** As Go sends it: in UTF-8. In Node, each character of a header is one byte. */
const headerValue = (value: string, what: string): string => {
  if (/(?!\t)\p{Cc}/u.test(value)) throw new Error(`${what} has a line break or another control character`)
  return Buffer.from(value, "utf8").toString("latin1")
}

const bearer = (token: string): string => `Bearer ${headerValue(token.trim(), "the token")}`

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`

/** Percent-encodes what the name of a header cannot have, as the API server expects it. */
const headerName = (key: string): string =>
  Array.from(Buffer.from(key, "utf8"), (byte) => {
    const one = String.fromCharCode(byte)
    return /[!#$&'*+.^_`|~0-9A-Za-z-]/.test(one) ? one : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }).join("")

const impersonation = (user: User): Headers => {
  if (user.impersonate === undefined) return {}
  const headers: Headers = { "impersonate-user": headerValue(user.impersonate, "as") }
  if (user.impersonateUid !== undefined) headers["impersonate-uid"] = headerValue(user.impersonateUid, "as-uid")
  if (user.impersonateGroups.length > 0) {
    headers["impersonate-group"] = user.impersonateGroups.map((group) => headerValue(group, "as-groups"))
  }
  for (const [key, values] of Object.entries(user.impersonateExtra)) {
    if (values.length === 0) continue
    // Keys that differ in case alone are the same header.
    const name = `impersonate-extra-${headerName(key).toLowerCase()}`
    headers[name] = [...(headers[name] ?? []), ...values.map((value) => headerValue(value, "as-user-extra"))]
  }
  return headers
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

interface Read {
  readonly headers: Headers
  readonly tls: Tls
  /** When the credentials of a plugin expire, in milliseconds since 1970. */
  readonly expiresAt?: number | undefined
}

const material = async (data: Buffer | undefined, file: string | undefined): Promise<Buffer | undefined> =>
  data ?? (file === undefined ? undefined : fs.readFile(file))

const authorityOf = async (cluster: Cluster): Promise<Buffer | undefined> => {
  const ca = await material(cluster.certificateAuthorityData, cluster.certificateAuthority)
  if (ca === undefined) return undefined
  try {
    // Node would ignore an invalid certificate, and report that the server is not trusted.
    return new X509Certificate(ca).fingerprint256 === "" ? undefined : ca
  } catch (cause) {
    const where = cluster.certificateAuthority ?? "certificate-authority-data"
    throw new Error(`${where} holds no certificate: ${messageOf(cause)}`, { cause })
  }
}

/** The token in the file, which is renewed there; `token` only where the file cannot be read. */
const tokenOf = async (user: User): Promise<string | undefined> => {
  if (user.tokenFile === undefined) return user.token
  try {
    const token = (await fs.readFile(user.tokenFile, "utf8")).trim()
    if (token === "") throw new Error(`the token file ${user.tokenFile} is empty`)
    return token
  } catch (error) {
    if (user.token === undefined) throw error
    return user.token
  }
}

const REMOVED: ReadonlyMap<string, string> = new Map([
  ["azure", "use the credential plugin kubelogin, as kubectl since 1.26"],
  ["gcp", "use the credential plugin gke-gcloud-auth-plugin, as kubectl since 1.26"],
  ["openstack", "use the credential plugin client-keystone-auth, as kubectl since 1.22"]
])

const readAuthProvider = async ({ config, name }: NonNullable<User["authProvider"]>): Promise<string> => {
  if (name !== "oidc") {
    throw new Error(
      `the auth-provider "${name}" is not known any more; ${REMOVED.get(name) ?? "use a credential plugin"}`
    )
  }
  const { readOidc } = await import("./givenKubeConfig.ts")
  return readOidc(config)
}

const serverTls = (cluster: Cluster, ca: Buffer | undefined): Tls => ({
  ...(ca === undefined ? undefined : { ca }),
  ...(cluster.tlsServerName === undefined ? undefined : { servername: cluster.tlsServerName }),
  ...(cluster.insecureSkipTlsVerify ? { rejectUnauthorized: false } : undefined)
})

type Opened = ReturnType<typeof credentialPlugin.open>

/** A plugin runs only where there are no other credentials, as it may ask for a login. */
const readUser = async (
  user: User,
  cluster: Cluster,
  plugin: (ca: Buffer | undefined) => Promise<credentialPlugin.Answer>
): Promise<Read> => {
  const headers = impersonation(user)
  const ca = await authorityOf(cluster)
  const tls: Tls = serverTls(cluster, ca)
  const cert = await material(user.clientCertificateData, user.clientCertificate)
  if (cert !== undefined) {
    const key = await material(user.clientKeyData, user.clientKey)
    Object.assign(tls, { cert, key })
  }
  const token = await tokenOf(user)
  if (token !== undefined) headers["authorization"] = bearer(token)
  else if (user.username !== undefined || user.password !== undefined) {
    headers["authorization"] = basic(user.username ?? "", user.password ?? "")
  } else if (user.authProvider !== undefined) {
    headers["authorization"] = await readAuthProvider(user.authProvider)
  } else if (user.plugin !== undefined && cert === undefined) {
    const answer = await plugin(ca)
    if (answer.token !== undefined) headers["authorization"] = bearer(answer.token)
    if (answer.certificate !== undefined) Object.assign(tls, answer.certificate)
    return { headers, tls, expiresAt: answer.expiresAt }
  }
  return { headers, tls }
}

const readGiven = async (
  identity: Extract<kubeconfig.Identity, { readonly _tag: "Given" }>,
  isSecure: boolean
): Promise<Read> => {
  const given = await import("./givenKubeConfig.ts")
  const options = await given.read(identity.kubeConfig)
  const headers: Headers = {}
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (value !== undefined) headers[name.toLowerCase()] = Array.isArray(value) ? [...value] : String(value).trim()
  }
  if (typeof options.auth === "string")
    headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`
  if (!isSecure) delete headers["authorization"]
  const tls: Tls = {}
  for (const key of ["ca", "cert", "key", "pfx", "passphrase", "servername", "rejectUnauthorized"] as const) {
    if (options[key] !== undefined && options[key] !== null) Object.assign(tls, { [key]: options[key] })
  }
  return { headers, tls }
}

/** The program that gives the credentials of a context. */
const pluginOf = ({ identity, isSecure }: kubeconfig.Loaded): string | undefined =>
  identity._tag === "User" && isSecure ? identity.user.plugin?.command : undefined

/** Whether reading credentials may need a person. A `KubeConfig` of the host may run any program. */
const isLogin = ({ identity, isSecure }: kubeconfig.Loaded): boolean =>
  identity._tag === "Given" ||
  (isSecure && (identity.user.plugin !== undefined || identity.user.authProvider !== undefined))

// ---------------------------------------------------------------------------
// source
// ---------------------------------------------------------------------------

/** @internal */
export const make = Effect.fnUntraced(function* (options: {
  readonly loaded: kubeconfig.Loaded
  readonly reload: Effect.Effect<kubeconfig.Loaded, BackendError.BackendError>
  readonly clock: Clock.Clock
  readonly running: credentialPlugin.Running
}): Effect.fn.Return<Source, never, Scope.Scope> {
  const { clock } = options
  const now = () => clock.currentTimeMillisUnsafe()
  // One at a time: a login or a plugin must not be started once per request that waits for it.
  const one = Semaphore.makeUnsafe(1)
  let loaded = options.loaded
  let current: Credentials | undefined
  let checkAt = 0
  let expiresAt: number | undefined
  let renewedAt = Number.NEGATIVE_INFINITY
  let opened: Opened | undefined
  let answered: credentialPlugin.Answer | undefined
  let reading: Promise<Read> | undefined

  const closePlugin = (): void => {
    opened?.close()
    opened = undefined
    answered = undefined
  }
  yield* Effect.addFinalizer(() => Effect.sync(closePlugin))

  const askPlugin =
    (user: User, cluster: Cluster) =>
    async (ca: Buffer | undefined): Promise<credentialPlugin.Answer> => {
      if (opened === undefined) {
        const { open } = await import("./credentialPlugin.ts")
        opened = open(user.plugin!, cluster, ca, options.running)
      }
      answered = await opened.get(now)
      return answered
    }

  const start = ({ identity, isSecure }: kubeconfig.Loaded): Promise<Read> => {
    if (identity._tag === "Given") return readGiven(identity, isSecure)
    const { cluster, user } = identity
    if (isSecure) return readUser(user, cluster, askPlugin(user, cluster))
    // No credentials without TLS. The impersonated user is no secret.
    return Promise.resolve().then(() => ({ headers: impersonation(user), tls: {} }))
  }

  /** Reads once for all that wait. The reading goes on when they are interrupted, and serves the next request. */
  const begin = (): Promise<Read> => {
    reading ??= start(loaded).finally(() => {
      reading = undefined
    })
    return reading
  }

  const failure = (cause: unknown): BackendError.BackendError => {
    const command = pluginOf(loaded)
    return unauthorized(
      command === undefined
        ? `the credentials of context ${loaded.context} cannot be read: ${messageOf(cause)}`
        : `no credentials for context ${loaded.context} from ${command}: ${messageOf(cause)}`,
      cause
    )
  }

  const read = (generation: number): Effect.Effect<Credentials, BackendError.BackendError> => {
    const reads = Effect.tryPromise({ try: begin, catch: failure })
    const bounded =
      pluginOf(loaded) === undefined
        ? Effect.timeoutOrElse(reads, {
            duration: isLogin(loaded) ? options.running.timeoutMillis : READ_MILLIS,
            orElse: () => Effect.fail(failure(new Error("they did not come in time")))
          })
        : // A plugin has its own timeout, which ends it.
          reads
    return Effect.map(bounded, (given): Credentials => {
      const { headers, tls } = given
      current = { headers, tls, fingerprint: fingerprintOf(tls), generation }
      expiresAt = given.expiresAt
      checkAt = Math.min(now() + CHECK_MILLIS, expiresAt ?? Number.POSITIVE_INFINITY)
      return current
    })
  }

  const check: Effect.Effect<Credentials, BackendError.BackendError> = one.withPermit(
    Effect.suspend(() => {
      if (current !== undefined && now() < checkAt) return Effect.succeed(current)
      const old = current
      const fresh = read(old?.generation ?? 0)
      // The old credentials are used until they expire or the server refuses them.
      return old === undefined || (expiresAt !== undefined && now() >= expiresAt)
        ? fresh
        : Effect.catch(fresh, (error) => {
            checkAt = now() + CHECK_MILLIS
            return Effect.as(Effect.logWarning(`${error.message}; going on with those read before`), old)
          })
    })
  )

  return {
    get: Effect.suspend(() => (current !== undefined && now() < checkAt ? Effect.succeed(current) : check)),
    renew: (refused) =>
      one.withPermit(
        Effect.suspend(() => {
          if (current !== undefined && current.generation !== refused.generation) return Effect.succeed(current)
          if (now() - renewedAt < RENEWAL_MILLIS) return Effect.succeed(refused)
          renewedAt = now()
          return Effect.flatMap(options.reload, (again) => {
            loaded = again
            if (answered !== undefined) opened?.forget(answered)
            // The kubeconfig may name another plugin now.
            if (reading === undefined) closePlugin()
            return read(refused.generation + 1)
          })
        })
      ),
    expire: () => {
      checkAt = 0
    },
    isLoggingIn: () => (reading !== undefined && isLogin(loaded)) || opened?.isRunning() === true
  }
})
