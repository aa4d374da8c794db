/**
 * The messages on standard input, one on each line. What is no message is answered here, so that the server behind it reads
 * nothing but messages.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"

/** In characters. The server reads lines of up to 16 MiB, and a call with its arguments has a few hundred. */
const LONGEST = 8 * 1024 * 1024
/** Methods that subscribe, in any revision. A text that only looks like one does no harm: a watch begins early. */
const SUBSCRIBING = /"(?:resources\/subscribe|subscriptions\/listen)"/

type Id = string | number | null

const refusal = (code: number, message: string, id: Id = null): string =>
  `${JSON.stringify({ jsonrpc: "2.0", id, error: { code, message } })}\n`

const unreadable = (why: string): string => refusal(-32_700, `Parse error: ${why}`)
const invalid = (why: string, id?: Id): string => refusal(-32_600, `Invalid Request: ${why}`, id)

const isId = (value: unknown): value is string | number => typeof value === "string" || typeof value === "number"

/** The answer to a line that is no message; absent where the server can read it. */
const refusalOf = (line: string): string | undefined => {
  let message: unknown
  try {
    message = JSON.parse(line)
  } catch {
    return unreadable("the line is not JSON, expected a JSON-RPC message on each line")
  }
  if (Array.isArray(message)) return undefined
  if (typeof message !== "object" || message === null) return invalid("expected an object with jsonrpc, id and method")
  const id = "id" in message ? message.id : undefined
  const known = isId(id) ? id : undefined
  if ("method" in message) {
    if (typeof message.method !== "string") return invalid("method is no text", known)
    return id === undefined || known !== undefined ? undefined : invalid("id is neither a text nor a number")
  }
  return "result" in message || "error" in message ? undefined : invalid("method is missing", known)
}

/**
 * Standard input with nothing but lines that the server can read, and standard output on which the others are answered.
 *
 * @internal
 */
export const make = (onSubscription: Effect.Effect<unknown>) =>
  Stdio.Stdio.useSync((stdio) => {
    const decoder = new TextDecoder()
    const encoder = new TextEncoder()
    let rest = ""
    let isTooLong = false

    const take = (line: string): { readonly line?: string; readonly answer?: string } => {
      if (isTooLong || line.length > LONGEST) {
        isTooLong = false
        return { answer: invalid(`the line is longer than ${LONGEST} characters`) }
      }
      if (line.trim() === "") return {}
      const answer = refusalOf(line)
      return answer === undefined ? { line } : { answer }
    }

    const pass = (lines: ReadonlyArray<string>): Effect.Effect<Uint8Array> =>
      Effect.gen(function* () {
        let good = ""
        let answers = ""
        for (const text of lines) {
          const { answer = "", line } = take(text)
          answers += answer
          if (line !== undefined) good += `${line}\n`
        }
        // A client that does not read its answers any more ends the server, by the output of the server itself.
        if (answers !== "") yield* Effect.ignore(Stream.run(Stream.make(answers), stdio.stdout()))
        if (SUBSCRIBING.test(good)) yield* onSubscription
        return encoder.encode(good)
      })

    const read = (bytes: Uint8Array): Effect.Effect<Uint8Array> =>
      Effect.suspend(() => {
        const lines = decoder.decode(bytes, { stream: true }).split("\n")
        const last = lines.pop()!
        if (lines.length === 0) rest += last
        else {
          lines[0] = rest + lines[0]!
          rest = last
        }
        const passed = pass(lines)
        if (rest.length > LONGEST) {
          rest = ""
          isTooLong = true
        }
        return passed
      })

    const atEnd = Effect.suspend(() => pass([rest + decoder.decode()]))

    return {
      ...stdio,
      stdin: stdio.stdin.pipe(
        Stream.mapEffect(read),
        Stream.concat(Stream.fromEffect(atEnd)),
        Stream.filter((bytes) => bytes.length > 0)
      )
    }
  })
