/**
 * The contract suite of backends: what every `Backend` promises, as tests.
 *
 * An implementation of a backend runs it with vitest. In `test/MyBackend.test.ts`:
 *
 * `Contract.suite("my backend", MyBackend.layerTest)`
 *
 * The suite writes events, queries and watches; it builds the layer anew for each test, and expects an empty store of it
 * each time unless `shared` says otherwise. It runs on the real clock and waits only for answers and items, never for
 * time to pass. All that it writes is valid for a Kubernetes API server.
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import type * as Backend from "@tidings/core/Backend"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { ContractViolation } from "./ContractViolation.ts"
import { type CheckDefinition, Finding, type Settings } from "./internal/contractWorld.ts"
import { dataChecks } from "./internal/dataChecks.ts"
import { queryChecks } from "./internal/queryChecks.ts"
import { foreignChecks, forgetfulChecks, otherChecks, restartChecks } from "./internal/storeChecks.ts"
import { watchChecks } from "./internal/watchChecks.ts"
import { writeChecks } from "./internal/writeChecks.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What the suite cannot know about a backend. All of it may be left out; what `reopenable`, `other` and `forgetful` would
 * give is then not checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Three namespaces to write into, for stores where namespaces must exist; `default`, `team-a` and `team-b` unless given.
   * Events of cluster-scoped objects are written too.
   */
  readonly namespaces?: readonly [string, string, string] | undefined
  /**
   * Whether a layer that is built again sees what was written before, by other tests or other users of the store. The
   * suite then ignores events that are not its own, and counts only with a filter that leaves them out. False unless given.
   */
  readonly shared?: boolean | undefined
  /** How exactly the store keeps `first` and `last`; microseconds unless given. */
  readonly precision?: "microseconds" | "milliseconds" | "seconds" | undefined
  /** How many bytes of data, as JSON, the store keeps of one event; 65,536 unless given. Not less than 16,384. */
  readonly maximumData?: number | undefined
  /**
   * For stores that outlive their backend: makes a new, empty store, and gives the layer that opens it. The suite builds
   * that layer several times, one after the other, to see what survives a restart.
   */
  readonly reopenable?: Effect.Effect<Layer.Layer<Backend.Backend, unknown>, unknown, Scope.Scope> | undefined
  /** A backend of the same kind over another store. May be the same layer where each build makes a store of its own. */
  readonly other?: Layer.Layer<Backend.Backend, unknown> | undefined
  /**
   * For stores that keep only so much: a new, empty one that is sure to have forgotten what came before the last `series`
   * series.
   */
  readonly forgetful?: { readonly layer: Layer.Layer<Backend.Backend, unknown>; readonly series: number } | undefined
  /** How many random inputs each property gets; 20 unless given. */
  readonly runs?: number | undefined
  /** Fixes the random inputs; the same ones in each run unless given. */
  readonly seed?: string | number | undefined
  /** How long a test may take; 30 seconds unless given. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * One check of the suite: fails when the backend does not keep this part of its contract.
 *
 * It builds the layer itself, as often as it needs it, and needs nothing from its surroundings but the `Clock`, by which
 * it gives up after the timeout.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  readonly name: string
  readonly effect: Effect.Effect<void, ContractViolation>
}

// ---------------------------------------------------------------------------
// checks
// ---------------------------------------------------------------------------

const units = { microseconds: 1, milliseconds: 1_000, seconds: 1_000_000 } as const

const describeFailure = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error)

const toCheck = (definition: CheckDefinition, settings: Settings, timeout: Duration.Duration): Check => {
  const { name } = definition
  return {
    name,
    effect: Effect.suspend(() => {
      const progress = { waitingFor: "the check to begin" }
      const violation = (detail: string, cause?: unknown) =>
        new ContractViolation(cause === undefined ? { check: name, detail } : { check: name, detail, cause })
      const run = definition.run({ ...settings, progress }).pipe(
        Effect.scoped,
        Effect.mapError((error) =>
          error instanceof Finding
            ? violation(error.detail)
            : violation(`${describeFailure(error)}, while waiting for ${progress.waitingFor}`, error)
        )
      )
      return Effect.flatMap(Effect.forkDetach(run), (fiber) =>
        Effect.timeoutOption(Fiber.await(fiber), timeout).pipe(
          Effect.onInterrupt(() => Fiber.interrupt(fiber)),
          Effect.flatMap((exit): Effect.Effect<void, ContractViolation> => {
            if (Option.isSome(exit)) return exit.value
            const detail = `did not end within ${Duration.format(timeout)}: it waited for ${progress.waitingFor}`
            // Not waiting for it: a backend that cannot be interrupted is one of the things to find out.
            return Effect.andThen(Effect.forkDetach(Fiber.interrupt(fiber)), Effect.fail(violation(detail)))
          })
        )
      )
    })
  }
}

/**
 * The checks of the suite as effects, for those who run them elsewhere than under vitest: in a simulation with a clock of
 * its own, or on purpose against a broken backend.
 *
 * **Example** (The checks against the backend in memory)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Contract from "@tidings/testing/Contract"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const checks = Contract.checks(Backend.layerMemory(), { other: Backend.layerMemory() })
 * await Effect.runPromise(Effect.forEach(checks, (check) => check.effect, { discard: true }))
 * assert.ok(checks.some((check) => check.name === "Live comes once per start"))
 * ```
 *
 * @category checks
 * @since 0.1.0
 */
export const checks = (layer: Layer.Layer<Backend.Backend, unknown>, options: Options = {}): ReadonlyArray<Check> => {
  const settings: Settings = {
    layer,
    namespaces: options.namespaces ?? ["default", "team-a", "team-b"],
    shared: options.shared ?? false,
    unit: units[options.precision ?? "microseconds"],
    maximumData: options.maximumData ?? 65_536,
    runs: options.runs ?? 20,
    seed: options.seed ?? "tidings",
    reopenable: options.reopenable,
    other: options.other,
    forgetful: options.forgetful
  }
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "30 seconds")
  const definitions = [
    ...writeChecks,
    ...queryChecks,
    ...watchChecks,
    ...dataChecks,
    ...foreignChecks,
    ...(options.other === undefined ? [] : otherChecks(options.other)),
    ...(options.reopenable === undefined ? [] : restartChecks(options.reopenable)),
    ...(options.forgetful === undefined ? [] : forgetfulChecks(options.forgetful))
  ]
  return definitions.map((definition) => toCheck(definition, settings, timeout))
}

// ---------------------------------------------------------------------------
// suite
// ---------------------------------------------------------------------------

/**
 * Registers each check as a test of its own, in a `describe` block of that name.
 *
 * The layer is built anew for each test and closed after it. Where the store is slow to make, make it once outside, and
 * say `shared`.
 *
 * Logs below `Error` are left out, because some backends log a line per event.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = (name: string, layer: Layer.Layer<Backend.Backend, unknown>, options: Options = {}): void => {
  // Longer than the check's own, so that it is the check that gives up: it can say what it was waiting for.
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "30 seconds")) + 5_000
  describe(`${name} keeps the contract of backends`, () => {
    for (const check of checks(layer, options)) {
      it.live(check.name, () => Effect.provideService(check.effect, References.MinimumLogLevel, "Error"), timeout)
    }
  })
}
