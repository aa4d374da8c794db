import { assert, describe, it } from "@effect/vitest"
import * as EventServer from "@tidings/mcp/EventServer"
import { Effect, Fiber, Layer, Sink, Stdio, Stream } from "effect"
import { layer } from "./support.ts"

interface Answer {
  readonly id: unknown
  readonly error?: { readonly code: number; readonly message: string }
  readonly result?: unknown
}

const line = (message: object): string => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`

const opening =
  line({
    id: "open",
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } }
  }) + line({ method: "notifications/initialized" })

/** What the server answers to pieces of input, until it has answered the id. */
const answersTo = (pieces: ReadonlyArray<string | Uint8Array>, last: string) => {
  const answers: Array<Answer> = []
  const encoder = new TextEncoder()
  let rest = ""
  const stdio = Stdio.layerTest({
    stdin: Stream.fromIterable(
      [opening, ...pieces].map((piece) => (typeof piece === "string" ? encoder.encode(piece) : piece))
    ).pipe(Stream.concat(Stream.never)),
    stdout: () =>
      Sink.forEach((piece) =>
        Effect.sync(() => {
          const lines = (rest + (typeof piece === "string" ? piece : new TextDecoder().decode(piece))).split("\n")
          rest = lines.pop()!
          for (const text of lines) answers.push(JSON.parse(text) as Answer)
        })
      )
  })
  const server = EventServer.layerStdio({ version: "1" }).pipe(Layer.provide(stdio))
  return Effect.raceFirst(
    Layer.launch(server),
    Effect.suspend(() => (answers.some(({ id }) => id === last) ? Effect.void : Effect.fail("not yet"))).pipe(
      Effect.eventually,
      Effect.timeout("10 seconds")
    )
  ).pipe(
    Effect.map(() => answers.filter(({ id }) => id !== "open")),
    Effect.provide(layer())
  )
}

const ping = line({ id: "ping", method: "ping" })

describe("the server on standard input", () => {
  const refused: ReadonlyArray<readonly [what: string, code: number, id: unknown, message: RegExp]> = [
    ["not json", -32_700, null, /not JSON/],
    ['{"jsonrpc":"2.0"', -32_700, null, /not JSON/],
    ["42", -32_600, null, /expected an object/],
    ["null", -32_600, null, /expected an object/],
    ['{"jsonrpc":"2.0","id":7}', -32_600, 7, /method is missing/],
    ['{"jsonrpc":"2.0","id":7,"method":5}', -32_600, 7, /method is no text/],
    ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32_600, null, /id is neither/],
    [`{"jsonrpc":"2.0","id":7,"method":"${"x".repeat(8 * 1024 * 1024)}"}`, -32_600, null, /longer than 8388608/]
  ]
  for (const [what, code, id, message] of refused) {
    it.live(`answers ${what.slice(0, 50)} with an error, and reads on`, () =>
      Effect.gen(function* () {
        const answers = yield* answersTo([`${what}\n${ping}`], "ping")
        const refusal = answers.find(({ error }) => error !== undefined)
        assert.strictEqual(answers.length, 2)
        assert.deepInclude(refusal, { id })
        assert.strictEqual(refusal!.error?.code, code)
        assert.match(refusal!.error!.message, message)
      })
    )
  }

  it.live("reads over empty lines, carriage returns, answers that it did not ask for, and messages in pieces", () =>
    Effect.gen(function* () {
      const euro = new TextEncoder().encode(line({ id: "€", method: "ping" }))
      const cut = euro.indexOf(0xe2) + 1
      const answers = yield* answersTo(
        [
          "\n \r\n\t\n",
          line({ id: 1, result: {} }),
          ping.slice(0, 10),
          ping.slice(10, -1),
          "\r\n",
          euro.subarray(0, cut),
          euro.subarray(cut),
          "x".repeat(9 * 1024 * 1024),
          `${"x".repeat(9 * 1024 * 1024)}\n`,
          line({ id: "end", method: "ping" })
        ],
        "end"
      )
      // What is refused may be answered before what was asked earlier.
      assert.deepStrictEqual(answers.map(({ error, id }) => `${String(id)} ${error?.code ?? "ok"}`).sort(), [
        "end ok",
        "null -32600",
        "ping ok",
        "€ ok"
      ])
    })
  )

  it.live("answers a last message without a line end", () =>
    Effect.gen(function* () {
      const written: Array<string> = []
      const stdio = Stdio.layerTest({
        stdin: Stream.make(new TextEncoder().encode(opening + ping.trimEnd())),
        stdout: () => Sink.forEach((piece) => Effect.sync(() => written.push(String(piece))))
      })
      const serving = yield* EventServer.layerStdio({ version: "1" }).pipe(
        Layer.provide(stdio),
        Layer.provide(layer()),
        Layer.launch,
        Effect.forkChild
      )
      yield* Fiber.await(serving)
      assert.include(written.join(""), '"id":"ping","result":{}')
    })
  )
})
