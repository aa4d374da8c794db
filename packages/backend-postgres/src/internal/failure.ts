/**
 * What a failure of the database means to those who read or write events.
 */
import * as BackendError from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"

interface ServerError {
  /** SQLSTATE: five characters, of which the first two are the class. */
  readonly code?: unknown
  readonly message?: unknown
  readonly hint?: unknown
}

const causeOf = (error: SqlError): ServerError => {
  const { cause } = error.reason
  return typeof cause === "object" && cause !== null ? cause : {}
}

/** The SQLSTATE that the server gave; undefined where the failure is not the server's answer. */
export const codeOf = (error: SqlError): string | undefined => {
  const { code } = causeOf(error)
  // Codes of the system, such as ECONNREFUSED, are no SQLSTATE.
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

const detailOf = (error: SqlError): string => {
  const { code, message } = causeOf(error)
  const told = typeof message === "string" && message !== "" ? message : error.message
  return typeof code === "string" && !told.includes(code) ? `${told} (${code})` : told
}

/** Who connects to which database, for messages. Nothing of it is secret. */
export interface Client {
  /** The database in words, with host and port. */
  readonly place: string
  readonly user: string
  /** Where a password is looked for: that of the URL comes before `PGPASSWORD`, and this before the file, which need not have one. */
  readonly passwordIn: "the URL" | "PGPASSWORD" | "the file"
  /** The name of the password file. */
  readonly passwordFile: string
}

/** How a connection that was not made is told; what to do is the last clause, after "; to ". */
const ofConnecting = (
  error: SqlError,
  { passwordFile, passwordIn, place, user }: Client
): BackendError.BackendErrorReason | undefined => {
  const code = codeOf(error)
  const detail = detailOf(error)
  const unauthorized = (detail: string) => new BackendError.Unauthorized({ detail })
  switch (error.reason._tag) {
    case "ConnectionError":
      if (code === undefined && isOfAnotherServer(detail)) {
        return new BackendError.Unavailable({
          detail: `what answers for ${place} is no PostgreSQL server: ${detail}; to find out why, check host and port of the URL`
        })
      }
      return code !== undefined || isOfTls(error)
        ? undefined
        : new BackendError.Transient({
            applied: "no",
            detail:
              `${place} does not answer: ${detail}; to find out why, check host and port of the URL, and whether the ` +
              "server runs and can be reached from here"
          })
    case "AuthenticationError": {
      const who = `the user ${JSON.stringify(user)}`
      const hint = `set PGPASSWORD or add a line to ${passwordFile}; a password in the URL comes before both`
      if (code === "28P01") {
        return unauthorized(
          `${place} refuses ${who} with the password of ${passwordIn === "the file" ? passwordFile : passwordIn}: ${detail}; ` +
            `to give another one, ${hint}`
        )
      }
      if (code === undefined && error.message.includes("No password")) {
        return unauthorized(`${place} wants a password of ${who}, and there is none; to give one, ${hint}`)
      }
      return unauthorized(
        `${place} does not let ${who} in: ${detail}` +
          (code === undefined
            ? ""
            : "; to be let in, check the user of the URL or PGUSER, and pg_hba.conf of the server")
      )
    }
    case "AuthorizationError":
      return unauthorized(`${place} does not let the user ${JSON.stringify(user)} in: ${detail}`)
    default:
      return undefined
  }
}

/** The server ends, starts or was told to end this connection. */
const ENDING = new Set(["57P01", "57P02", "57P03", "57P05", "25P03", "25P04"])

/** Another transaction was in the way, or the statement was told to end. */
const IN_THE_WAY = new Set(["40001", "40P01", "55P03", "57014", "55006"])

/** What Node says of a certificate that cannot be trusted, and the client of a server without TLS. */
const isOfTls = (error: SqlError): boolean => {
  const { code } = causeOf(error)
  return (
    error.message.includes("Server refused TLS") ||
    (typeof code === "string" && /^(?:ERR_(?:TLS|SSL|OSSL)|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(code))
  )
}

/** What the client says of an answer in another protocol, such as HTTP or SSH. */
const isOfAnotherServer = (detail: string): boolean =>
  /exceeds maxMessageSize|bytes in response to SSLRequest/.test(detail)

const reasonOf = (error: SqlError, applied: "no" | "unknown"): BackendError.BackendErrorReason => {
  const code = codeOf(error)
  const detail = detailOf(error)
  if (code === undefined) {
    if (isOfTls(error)) return new BackendError.Unavailable({ detail: `no connection that is protected: ${detail}` })
    // Not the server's answer: the connection, or what TLS or the authentication found before there was one.
    return error.reason._tag === "AuthenticationError"
      ? new BackendError.Unauthorized({ detail })
      : new BackendError.Transient({ applied, detail })
  }
  if (code.startsWith("08") || ENDING.has(code)) return new BackendError.Transient({ applied, detail })
  // An answer with an error, also to COMMIT, says that nothing was written.
  if (IN_THE_WAY.has(code)) return new BackendError.Transient({ applied: "no", detail })
  if (code === "53100") return new BackendError.Full({ detail })
  if (code === "53300") {
    return new BackendError.Throttled({ scope: "backend", detail: `the server has no connection left: ${detail}` })
  }
  if (code.startsWith("53") || code.startsWith("58")) return new BackendError.Transient({ applied: "no", detail })
  if (code.startsWith("28") || code === "42501") return new BackendError.Unauthorized({ detail })
  if (code === "25006") {
    return new BackendError.Unavailable({ detail: `the database is read-only, so nothing can be written: ${detail}` })
  }
  return new BackendError.Unavailable({ detail })
}

/**
 * The error of a backend for an error of the database. `applied` says what is known of a write when the connection is lost:
 * that it was not yet to be committed, or nothing.
 */
export const fromSql = (
  error: SqlError,
  client: Client,
  applied: "no" | "unknown" = "no"
): BackendError.BackendError => {
  const told = error.reason.operation === "connect" ? ofConnecting(error, client) : undefined
  return BackendError.make(told ?? reasonOf(error, applied), error)
}

/** A detail without what to do, and what to do. */
export const adviceIn = (detail: string): readonly [found: string, advice: string | undefined] => {
  const at = /; (?=to (?:find out why|give one|give another one|be let in), )/.exec(detail)
  return at === null ? [detail, undefined] : [detail.slice(0, at.index), detail.slice(at.index + 2)]
}

/**
 * Runs a write with errors of the backend. It calls `committing` when nothing but COMMIT is left: what fails later may be stored.
 */
export const withOutcome = <A, R>(
  failed: (error: SqlError, applied: "no" | "unknown") => BackendError.BackendError,
  write: (committing: () => void) => Effect.Effect<A, SqlError | BackendError.BackendError, R>
): Effect.Effect<A, BackendError.BackendError, R> =>
  Effect.suspend(() => {
    let isCommitting = false
    const written = write(() => {
      isCommitting = true
    })
    return Effect.mapError(written, (error) =>
      error instanceof BackendError.BackendError ? error : failed(error, isCommitting ? "unknown" : "no")
    )
  })

/** Whether a table or the schema is not there. */
export const isMissing = (error: SqlError): boolean => {
  const code = codeOf(error)
  return code === "42P01" || code === "3F000"
}

/** Whether an error of the backend says that. */
export const isOfMissingTables = ({ cause }: BackendError.BackendError): boolean =>
  typeof cause === "object" && cause !== null && "reason" in cause && isMissing(cause as SqlError)
