/**
 * Where a database is and how it is reached, from a URL as `libpq` reads it.
 *
 * No error names a password, and none holds the URL.
 */
import { BackendError, Unauthorized, Unavailable } from "@tidings/core/BackendError"
import type { PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { readFile, stat } from "node:fs/promises"
import { connect } from "node:net"
import { homedir } from "node:os"
import { join } from "node:path"
import { checkServerIdentity, type ConnectionOptions } from "node:tls"
import type { Client } from "./failure.ts"

/** How a connection is protected: `libpq`'s modes. */
export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full"

const SSL_MODES: ReadonlySet<string> = new Set(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])

/** What a URL says. */
export interface Location {
  /** A name, an address, or the directory of a socket, which begins with `/`. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string | undefined
  readonly password: Redacted.Redacted | undefined
  readonly sslMode: SslMode
  readonly sslRootCert: string | undefined
  readonly sslCert: string | undefined
  readonly sslKey: string | undefined
  readonly sslPassword: Redacted.Redacted | undefined
  readonly passfile: string | undefined
  readonly connectTimeout: Duration.Duration
  readonly applicationName: string | undefined
  readonly options: string | undefined
  /** Ours, and not `libpq`'s: the schema of the tables. */
  readonly schema: string | undefined
}

const wrong = (detail: string): BackendError => new BackendError({ reason: new Unavailable({ detail }) })

/** The parameters of a URL, and what each of them does. */
const PARAMETERS = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslpassword",
  "passfile",
  "connect_timeout",
  "application_name",
  "options",
  "schema"
]

const WRONG_PORT = "has a port that is not between 1 and 65535"

/** `Number` also reads the empty text, `0x10` and `1e3`. */
const wholeNumber = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN)

/**
 * Reads a URL: `postgres://user@host:5432/database?sslmode=verify-full`. A parameter that is not known fails: one that is
 * ignored, such as a mistyped `sslmode`, would leave a connection without protection.
 */
export const parseUrl = (text: string): Result.Result<Location, BackendError> => {
  const fail = (detail: string) => Result.fail(wrong(`the URL of the database ${detail}`))
  if (!/^postgres(?:ql)?:\/\//.test(text)) return fail("does not begin with postgres://")
  const authority = /^[^/]*\/\/([^/?#]*)/.exec(text)![1]!
  // Of such a password a part would be taken for a port or a parameter, and be named where that is wrong.
  if (text.includes("#") || (!authority.includes("@") && text.includes("@"))) {
    return fail("has a special character in its user or password: @ is written %40, # %23, / %2F, ? %3F")
  }
  const hostAndPort = authority.slice(authority.lastIndexOf("@") + 1)
  if (hostAndPort.includes(",")) return fail("names several hosts; give one")
  const host = hostAndPort.replace(/:[^:\]]*$/, "")
  // As libpq has it, the host may be missing also beside a user or a port.
  const meant = host === "" && authority !== "" ? `localhost${hostAndPort}` : hostAndPort
  const end = text.indexOf("//") + 2 + authority.length
  const url = URL.parse(`${text.slice(0, end - hostAndPort.length)}${meant}${text.slice(end)}`)
  if (url === null && URL.parse(`postgres://${host}`) === null) {
    return fail("has a host that is no name or address; an IPv6 address is written [::1]")
  }
  if (url === null && URL.parse(`postgres://${meant}`) === null) return fail(WRONG_PORT)
  if (url === null) return fail("is not one: special characters of a user or password are written %40 and the like")
  const given = new Map<string, string>()
  const parts: ReadonlyArray<readonly [string, string]> = [
    ["host", url.hostname.replace(/^\[|\]$/g, "")],
    ["port", url.port],
    ["user", url.username],
    ["password", url.password],
    ["dbname", url.pathname.slice(1)]
  ]
  for (const [name, part] of parts) {
    if (part === "") continue
    try {
      given.set(name, decodeURIComponent(part))
    } catch {
      return fail(`has a ${name} with a % that begins no character`)
    }
  }
  for (const [name, value] of url.searchParams) {
    if (!PARAMETERS.includes(name)) {
      return fail(`has the parameter ${JSON.stringify(name)}, which is not known: ${PARAMETERS.join(", ")} are`)
    }
    given.set(name, value)
  }
  const sslMode = given.get("sslmode") ?? (given.get("sslrootcert") === "system" ? "verify-full" : "prefer")
  if (!SSL_MODES.has(sslMode)) {
    return fail(`has sslmode=${JSON.stringify(sslMode)}, which is none of ${[...SSL_MODES].join(", ")}`)
  }
  const port = wholeNumber(given.get("port") ?? "5432")
  if (!(port >= 1 && port <= 65_535)) return fail(WRONG_PORT)
  const seconds = wholeNumber(given.get("connect_timeout") ?? "10")
  if (Number.isNaN(seconds)) return fail("has a connect_timeout that is no whole number of seconds")
  const redacted = (name: string) => {
    const value = given.get(name)
    return value === undefined ? undefined : Redacted.make(value)
  }
  return Result.succeed({
    host: given.get("host") ?? "localhost",
    port,
    database: given.get("dbname") ?? given.get("user") ?? "postgres",
    username: given.get("user"),
    password: redacted("password"),
    sslMode: sslMode as SslMode,
    sslRootCert: given.get("sslrootcert"),
    sslCert: given.get("sslcert"),
    sslKey: given.get("sslkey"),
    sslPassword: redacted("sslpassword"),
    passfile: given.get("passfile"),
    connectTimeout: seconds === 0 ? Duration.infinity : Duration.seconds(seconds),
    applicationName: given.get("application_name"),
    options: given.get("options"),
    schema: given.get("schema")
  })
}

/** The location in words, without anything that is secret. */
export const describe = ({ database, host, port }: Location): string =>
  host.startsWith("/") ? `the database ${database} in ${host}` : `the database ${database} at ${host}:${port}`

/** The fields of a line of a password file: `:` and `\` are written with a `\` before them. */
const fieldsOf = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g)].map(([, field]) => field!.replaceAll(/\\(.)/g, "$1"))

/**
 * The password that a password file has for a location: of the first line that matches, where `*` matches everything.
 */
export const passwordIn = (
  content: string,
  { database, host, port }: Location,
  username: string
): string | undefined => {
  const asked = [host.startsWith("/") ? "localhost" : host, String(port), database, username]
  for (const line of content.split(/\r?\n/)) {
    if (line === "" || line.startsWith("#")) continue
    const fields = fieldsOf(line)
    if (asked.every((value, index) => fields[index] === "*" || fields[index] === value)) return fields[4]
  }
  return undefined
}

const readFileOf = (name: string, file: string): Effect.Effect<string, BackendError> =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (cause) => wrong(`the ${name} ${file} of the database cannot be read: ${(cause as Error).message}`)
  })

/** Like `libpq`, a password file that others may read is not used; that it is not there is no error. */
const passwordOfFile = (file: string, location: Location, username: string) =>
  Effect.gen(function* () {
    const found = yield* Effect.option(Effect.tryPromise(() => stat(file)))
    if (found._tag === "None") return undefined
    if (process.platform !== "win32" && (found.value.mode & 0o077) !== 0) {
      return yield* Effect.fail(
        new BackendError({
          reason: new Unauthorized({
            detail: `the password file ${file} can be read by others, so it is not used: chmod 600 ${file}`
          })
        })
      )
    }
    return passwordIn(yield* readFileOf("password file", file), location, username)
  })

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/** Asks a server whether it takes TLS, for `sslmode=prefer`. Undefined where it does not answer: connecting will tell why. */
const takesTls = ({ connectTimeout, host, port }: Location): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ host, port })
    const answer = (takes: boolean): void => {
      socket.destroy()
      resume(Effect.succeed(takes))
    }
    socket.once("connect", () => socket.write(SSL_REQUEST))
    socket.once("data", (data) => answer(data[0] === 0x53))
    socket.once("error", () => answer(false))
    socket.once("close", () => answer(false))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: connectTimeout, orElse: () => Effect.succeed(false) }))

const tlsOf = (location: Location): Effect.Effect<boolean | ConnectionOptions, BackendError> =>
  Effect.gen(function* () {
    const { host, sslCert, sslKey, sslMode, sslPassword, sslRootCert } = location
    if (sslMode === "disable" || host.startsWith("/")) return false
    if ((sslMode === "prefer" || sslMode === "allow") && !(yield* takesTls(location))) return false
    const isVerifying = sslMode.startsWith("verify-")
    // As libpq does, a root certificate makes `require` verify who signed.
    const isChecked = isVerifying || (sslMode === "require" && sslRootCert !== undefined)
    const key = sslKey === undefined ? undefined : yield* readFileOf("sslkey", sslKey)
    return {
      rejectUnauthorized: isChecked,
      ...(sslRootCert === undefined || sslRootCert === "system"
        ? undefined
        : { ca: yield* readFileOf("sslrootcert", sslRootCert) }),
      ...(sslCert === undefined ? undefined : { cert: yield* readFileOf("sslcert", sslCert) }),
      ...(key === undefined ? undefined : { key }),
      ...(sslPassword === undefined ? undefined : { passphrase: Redacted.value(sslPassword) }),
      checkServerIdentity: sslMode === "verify-full" ? checkServerIdentity : () => undefined
    }
  })

/** The password file where none is named. */
export const USUAL_PASSFILE = join(homedir(), ".pgpass")

/** What of the environment says how to connect. */
export interface Environment {
  readonly username: string
  /** `PGPASSWORD`. */
  readonly password: Redacted.Redacted | undefined
  /** `PGPASSFILE`, or the file in the home directory. */
  readonly passfile: string | undefined
}

/** Who connects, and where the password is looked for. */
export const accountOf = (location: Location, environment: Environment): Omit<Client, "place"> => {
  const passfile = location.passfile ?? environment.passfile ?? USUAL_PASSFILE
  return {
    user: location.username ?? environment.username,
    passwordIn:
      location.password !== undefined ? "the URL" : environment.password !== undefined ? "PGPASSWORD" : "the file",
    passwordFile: passfile === USUAL_PASSFILE ? "~/.pgpass" : passfile
  }
}

/** How a client reaches a location. A password of the URL comes first, then `PGPASSWORD`, then that of a password file. */
export const poolOf = (location: Location, environment: Environment): Effect.Effect<PgPoolConfig, BackendError> =>
  Effect.gen(function* () {
    const username = location.username ?? environment.username
    const file = location.passfile ?? environment.passfile
    let password = location.password ?? environment.password
    if (password === undefined && file !== undefined) {
      const found = yield* passwordOfFile(file, location, username)
      if (found !== undefined) password = Redacted.make(found)
    }
    return {
      host: location.host,
      port: location.port,
      database: location.database,
      username,
      ...(password === undefined ? undefined : { password }),
      ssl: yield* tlsOf(location),
      connectTimeout: location.connectTimeout,
      keepAlive: "30 seconds",
      applicationName: location.applicationName ?? "tidings",
      ...(location.options === undefined ? undefined : { startupOptions: location.options })
    }
  })
