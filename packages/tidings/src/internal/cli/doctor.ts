/**
 * `doctor`: whether events can be recorded and read here, and what to do where they cannot.
 *
 * @internal
 */
import { Backend } from "@tidings/core/Backend"
import type { Check, State } from "@tidings/core/BackendCheck"
import * as Effect from "effect/Effect"
import type { Environment } from "effect/cli/Command"
import * as Command from "effect/cli/Command"
import { CommandError } from "../../CommandError.ts"
import type { Colours } from "./colour.ts"
import * as escape from "./escape.ts"
import * as documents from "./documents.ts"
import { examples } from "./examples.ts"
import * as failure from "./failure.ts"
import * as flags from "./flags.ts"
import * as session from "./session.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"

/** What can be found out of any backend: whether it is there, who it is, and whether it can be read. */
const ofAny = (place: session.Place): Effect.Effect<ReadonlyArray<Check>, never, session.Session | Environment> =>
  Effect.gen(function* () {
    const backend = yield* Backend
    const meant = yield* session.DefaultNamespace
    const namespace = place.allNamespaces ? undefined : (place.namespace ?? meant)
    const checks: Array<Check> = [
      { name: "store", state: "ok", found: backend.mode, facts: { mode: backend.mode } },
      yield* Effect.map(backend.target, (target): Check => ({
        name: "identity",
        state: "ok",
        found: target.id,
        facts: { target: target.id, aliases: target.aliases }
      }))
    ]
    const page = yield* backend.query({ limit: 0, ...(namespace === undefined ? undefined : { namespace }) })
    const where = namespace === undefined ? "" : ` in namespace ${namespace}`
    checks.push({
      name: "events",
      state: "ok",
      found: `${page.totalCount}${where}`,
      facts: { events: page.totalCount, namespace: namespace ?? null }
    })
    return checks
  }).pipe(
    session.withBackend({ create: false }),
    Effect.catch((error) => {
      if (error instanceof failure.Absent) {
        return Effect.succeed<ReadonlyArray<Check>>([
          { name: "store", state: "note", found: error.detail, advice: error.hint }
        ])
      }
      const [found = "it cannot be used", advice] = failure.toCommandError(error).lines
      return Effect.succeed<ReadonlyArray<Check>>([
        { name: "store", state: "broken", found, ...(advice === undefined ? undefined : { advice }) }
      ])
    })
  )

const painted = (state: State, colours: Colours): string => {
  const text = state.padEnd("broken".length)
  return state === "broken" ? colours.warning(text) : state === "note" ? colours.strong(text) : colours.faint(text)
}

const print = (checks: ReadonlyArray<Check>, colours: Colours): ReadonlyArray<string> => {
  const name = Math.max(...checks.map((check) => table.width(check.name)))
  const margin = " ".repeat("broken".length + name + 4)
  return checks.flatMap((check) => [
    `${painted(check.state, colours)}  ${check.name}${" ".repeat(name - table.width(check.name))}  ${escape.line(check.found)}`,
    ...(check.advice === undefined ? [] : [`${margin}${escape.line(check.advice)}`])
  ])
}

/** @internal */
export const doctor = () =>
  Command.make(
    "doctor",
    { ...flags.placement, output: flags.output(["text", "json", "yaml"]) },
    Effect.fnUntraced(function* ({ allNamespaces, namespace, output = "text" }) {
      if (namespace === "") return yield* session.refuse("--namespace is empty: leave it out")
      const { checks: offered } = yield* session.Session
      const place: session.Place = { namespace, allNamespaces }
      const checks = yield* offered === undefined ? ofAny(place) : offered(place)
      const broken = checks.filter(({ state }) => state === "broken").length
      if (output === "text") {
        const widest = Math.max(...checks.map((check) => table.width(check.name)))
        yield* words.prose(print(checks, yield* session.colours), "broken".length + widest + 4)
      } else {
        const report = { healthy: broken === 0, checks }
        yield* documents.print(output, report)
      }
      if (broken === 0) return
      // What to do stands above, next to each.
      return yield* new CommandError({
        lines: [`${broken} of ${checks.length} checks ${broken === 1 ? "is" : "are"} broken`],
        exit: failure.EXIT.failed
      })
    }, session.verb("doctor"))
  ).pipe(
    Command.withDescription(
      "Check whether events can be recorded and read here, and say how to fix what is broken. Changes no event. Exits " +
        "with 1 if a check is broken."
    ),
    Command.withShortDescription("Check whether events can be recorded and read here"),
    examples("", "-n team-a --context staging", "-o json")
  )
