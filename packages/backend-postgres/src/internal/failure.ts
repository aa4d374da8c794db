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
export const fromSql = (error: SqlError, applied: "no" | "unknown" = "no"): BackendError.BackendError =>
  BackendError.make(reasonOf(error, applied), error)

/**
 * Runs a write with errors of the backend. It calls `committing` when nothing but COMMIT is left: what fails later may be stored.
 */
export const withOutcome = <A, R>(
  write: (committing: () => void) => Effect.Effect<A, SqlError | BackendError.BackendError, R>
): Effect.Effect<A, BackendError.BackendError, R> =>
  Effect.suspend(() => {
    let isCommitting = false
    const written = write(() => {
      isCommitting = true
    })
    return Effect.mapError(written, (error) =>
      error instanceof BackendError.BackendError ? error : fromSql(error, isCommitting ? "unknown" : "no")
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
