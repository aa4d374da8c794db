/**
 * A backend that fails on purpose, for tests of what is built on one.
 *
 * Wraps any backend and injects faults by script (a list per operation, one fault per call) or by seed (rates per
 * operation). What was injected is counted, so that a test can prove that it met each fault and did not pass because
 * nothing ever went wrong.
 *
 * **Example** (Nothing is lost and nothing counted twice)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import type { Write } from "@tidings/core/Event"
 * import * as FaultyBackend from "@tidings/testing/FaultyBackend"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const write: Write = {
 *   id: { origin: "00000000000000000000000000000001", seq: 1 },
 *   upTo: 1,
 *   count: 1,
 *   first: 0,
 *   last: 0,
 *   event: {
 *     involvedObject: { kind: "Order", name: "order-1", namespace: "shop" },
 *     reason: "Shipped",
 *     type: "Normal",
 *     action: "Ship",
 *     message: "order-1 was shipped",
 *     data: {},
 *     source: { component: "shop" },
 *     reportingController: "shop",
 *     reportingInstance: "shop-0"
 *   }
 * }
 *
 * // The first call fails before anything is written, the second writes and loses the answer, the third is slow.
 * const backend = Backend.layerMemory().pipe(
 *   FaultyBackend.layer({
 *     script: {
 *       write: [FaultyBackend.failBefore(), FaultyBackend.failAfter(), FaultyBackend.delay("10 millis")]
 *     }
 *   })
 * )
 *
 * const program = Effect.gen(function* () {
 *   const backend = yield* Backend.Backend
 *   const outcomes = yield* backend.write([write]).pipe(Effect.retry({ times: 5 }))
 *   assert.deepEqual(outcomes, [Backend.present])
 *   assert.equal((yield* backend.query({})).totalCount, 1)
 *
 *   const faulty = yield* FaultyBackend.FaultyBackend
 *   const { Delay, FailAfter, FailBefore } = yield* faulty.injected
 *   assert.deepEqual([FailBefore, FailAfter, Delay], [1, 1, 1])
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(backend)))
 * ```
 *
 * @since 0.1.0
 */
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import type { EventFilter, EventQuery, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What a backend is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = "target" | "write" | "query" | "watch"

/**
 * No fault: the call goes through.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pass {
  readonly _tag: "Pass"
}

/**
 * The call fails and nothing happened in the store.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailBefore {
  readonly _tag: "FailBefore"
  readonly error: BackendError.BackendError
}

/**
 * The write is applied and its answer is lost.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailAfter {
  readonly _tag: "FailAfter"
  readonly error: BackendError.BackendError
}

/**
 * Some of the batch is applied, the rest is not.
 *
 * With `rest: "retry"` each write that was left out is answered with `Retry`. With `rest: "missing"` the answers end before
 * the first that was left out: what was applied after it has lost its answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Partial {
  readonly _tag: "Partial"
  readonly applies: (write: Write, index: number) => boolean
  readonly rest: "retry" | "missing"
  readonly error: BackendError.BackendError
}

/**
 * The call fails at once, and the write is applied later all the same, when the caller may have repeated it and gone on:
 * what a server does that answers a timeout and works on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Late {
  readonly _tag: "Late"
  readonly after: Duration.Duration
  readonly error: BackendError.BackendError
}

/**
 * The store asks for less; nothing happened in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Throttle {
  readonly _tag: "Throttle"
  readonly error: BackendError.BackendError
}

/**
 * The call takes its time, by the `Clock` of the caller, and then goes through or meets another fault.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delay<F> {
  readonly _tag: "Delay"
  readonly by: Duration.Duration
  readonly then: F
}

/**
 * The call never answers, and nothing happened in the store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hang {
  readonly _tag: "Hang"
}

/**
 * The write is applied, and the call never answers.
 *
 * @category models
 * @since 0.1.0
 */
export interface HangAfter {
  readonly _tag: "HangAfter"
}

/**
 * The watch breaks off after a number of items.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cut {
  readonly _tag: "Cut"
  readonly after: number
  readonly error: BackendError.BackendError
}

/**
 * What can go wrong with a call that only reads.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadFault = Pass | FailBefore | Throttle | Hang | Delay<ReadFault>

/**
 * What can go wrong with a write.
 *
 * @category models
 * @since 0.1.0
 */
export type WriteFault =
  | Pass
  | FailBefore
  | FailAfter
  | Partial
  | Late
  | Throttle
  | Hang
  | HangAfter
  | Delay<WriteFault>

/**
 * What can go wrong with a watch.
 *
 * @category models
 * @since 0.1.0
 */
export type WatchFault = Pass | FailBefore | Throttle | Hang | Cut | Delay<WatchFault>

/**
 * Faults in the order of the calls that meet them, per operation. Once they are used up, calls go through.
 *
 * @category models
 * @since 0.1.0
 */
export interface Script {
  readonly target?: ReadonlyArray<ReadFault> | undefined
  readonly write?: ReadonlyArray<WriteFault> | undefined
  readonly query?: ReadonlyArray<ReadFault> | undefined
  /** One per start of a watch. */
  readonly watch?: ReadonlyArray<WatchFault> | undefined
}

/**
 * How often a call that reads meets each fault: shares of 1, at most 1 together.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadRates {
  readonly failBefore?: number | undefined
  readonly throttle?: number | undefined
  readonly delay?: number | undefined
  readonly hang?: number | undefined
}

/**
 * How often a write meets each fault: shares of 1, at most 1 together.
 *
 * @category models
 * @since 0.1.0
 */
export interface WriteRates extends ReadRates {
  readonly failAfter?: number | undefined
  /** Which of the batch are left out is drawn too; at least one of them is. */
  readonly partial?: number | undefined
  readonly late?: number | undefined
  readonly hangAfter?: number | undefined
}

/**
 * How often the start of a watch meets each fault: shares of 1, at most 1 together.
 *
 * @category models
 * @since 0.1.0
 */
export interface WatchRates extends ReadRates {
  /** After 0 to 9 items. */
  readonly cut?: number | undefined
}

/**
 * The shares of calls that go wrong, per operation. An operation that is absent never does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rates {
  readonly target?: ReadRates | undefined
  readonly write?: WriteRates | undefined
  readonly query?: ReadRates | undefined
  readonly watch?: WatchRates | undefined
}

/**
 * What to inject. A call takes the next fault of the script; once that is used up, the rates decide.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly script?: Script | undefined
  readonly rates?: Rates | undefined
  /**
   * Fixes what the rates draw. When absent, numbers come from the `Random` service with which the layer is built, so that a
   * simulation that provides one decides these faults too.
   */
  readonly seed?: string | number | undefined
  /** The longest that a drawn delay or late write takes; shorter ones are as likely. One second unless given. */
  readonly maximumDelay?: Duration.Input | undefined
}

/**
 * How often each fault was met. `Partial` counts only where something was left out, `Cut` only where a watch was broken
 * off, `Outage` each call that failed in one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Injected {
  readonly FailBefore: number
  readonly FailAfter: number
  readonly Partial: number
  readonly Late: number
  readonly Throttle: number
  readonly Delay: number
  readonly Hang: number
  readonly HangAfter: number
  readonly Cut: number
  readonly Outage: number
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * The handle on the faults of a backend.
 *
 * @category services
 * @since 0.1.0
 */
export class FaultyBackend extends Context.Service<
  FaultyBackend,
  {
    /** How often each fault was met so far. */
    readonly injected: Effect.Effect<Injected>
    /** How often each operation was asked for so far, whatever came of it. */
    readonly calls: Effect.Effect<Readonly<Record<Operation, number>>>
    /** How many faults of the script are still to come. */
    readonly remaining: Effect.Effect<Readonly<Record<Operation, number>>>
    /** Adds faults to the end of the script. */
    readonly inject: (script: Script) => Effect.Effect<void>
    /** From now on every call fails before anything is applied, and watches that are open break off. `Unavailable` unless given. */
    readonly outage: (error?: BackendError.BackendError) => Effect.Effect<void>
    /** Ends an outage, the script and the rates: the backend is sound from now on. `inject` works again afterwards. */
    readonly heal: Effect.Effect<void>
  }
>()("@tidings/testing/FaultyBackend") {}

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

const before = BackendError.make(new BackendError.Transient({ applied: "no", detail: "injected before the call" }))
const after = BackendError.make(new BackendError.Transient({ applied: "unknown", detail: "injected after the call" }))

/**
 * No fault: holds a place in a script.
 *
 * @category faults
 * @since 0.1.0
 */
export const pass: Pass = { _tag: "Pass" }

/**
 * Fails before anything is applied; with `Transient { applied: "no" }` unless an error is given.
 *
 * @category faults
 * @since 0.1.0
 */
export const failBefore = (error: BackendError.BackendError = before): FailBefore => ({ _tag: "FailBefore", error })

/**
 * Applies the write and loses the answer: the caller sees `Transient { applied: "unknown" }` unless an error is given.
 *
 * @category faults
 * @since 0.1.0
 */
export const failAfter = (error: BackendError.BackendError = after): FailAfter => ({ _tag: "FailAfter", error })

/**
 * Applies only some of the batch: the first so many, or those for which the function says so.
 *
 * @category faults
 * @since 0.1.0
 */
export const partial = (options: {
  readonly applies: number | ((write: Write, index: number) => boolean)
  /** `"retry"` unless given. */
  readonly rest?: "retry" | "missing" | undefined
  /** The error of each `Retry`; `Transient { applied: "no" }` unless given. */
  readonly error?: BackendError.BackendError | undefined
}): Partial => {
  const applies = options.applies
  return {
    _tag: "Partial",
    applies: typeof applies === "number" ? (_, index) => index < applies : applies,
    rest: options.rest ?? "retry",
    error: options.error ?? before
  }
}

/**
 * Fails at once with `Transient { applied: "unknown" }` and applies the write after this time.
 *
 * @category faults
 * @since 0.1.0
 */
export const late = (by: Duration.Input, error: BackendError.BackendError = after): Late => ({
  _tag: "Late",
  after: Duration.fromInputUnsafe(by),
  error
})

/**
 * Fails with `Throttled`: for the whole backend and without `retryAfter` unless given.
 *
 * @category faults
 * @since 0.1.0
 */
export const throttle = (options?: {
  readonly scope?: "backend" | "namespace" | "series" | undefined
  readonly retryAfter?: Duration.Input | undefined
}): Throttle => {
  const scope = options?.scope ?? "backend"
  const detail = "injected"
  return {
    _tag: "Throttle",
    error: BackendError.make(
      options?.retryAfter === undefined
        ? new BackendError.Throttled({ scope, detail })
        : new BackendError.Throttled({ scope, detail, retryAfter: Duration.fromInputUnsafe(options.retryAfter) })
    )
  }
}

/**
 * Takes this time first; then goes through, or meets `then`.
 *
 * @category faults
 * @since 0.1.0
 */
export const delay: {
  (by: Duration.Input): Delay<Pass>
  <F>(by: Duration.Input, then: F): Delay<F>
} = <F>(by: Duration.Input, then?: F): Delay<F | Pass> => ({
  _tag: "Delay",
  by: Duration.fromInputUnsafe(by),
  then: then ?? pass
})

/**
 * Never answers, and nothing is applied.
 *
 * @category faults
 * @since 0.1.0
 */
export const hang: Hang = { _tag: "Hang" }

/**
 * Applies the write and never answers.
 *
 * @category faults
 * @since 0.1.0
 */
export const hangAfter: HangAfter = { _tag: "HangAfter" }

/**
 * Ends a watch after this many items, with `Transient { applied: "no" }` unless an error is given.
 *
 * @category faults
 * @since 0.1.0
 */
export const cut = (items: number, error: BackendError.BackendError = before): Cut => ({
  _tag: "Cut",
  after: Math.max(0, items),
  error
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

type Tally = { -readonly [K in keyof Injected]: number }

const operations: ReadonlyArray<Operation> = ["target", "write", "query", "watch"]

const checkRates = (rates: Rates | undefined): void => {
  for (const operation of operations) {
    const shares = Object.entries(rates?.[operation] ?? {}) as ReadonlyArray<[string, number | undefined]>
    let sum = 0
    for (const [fault, share = 0] of shares) {
      if (!(share >= 0 && share <= 1)) {
        throw new RangeError(`rates.${operation}.${fault} is ${share}, expected a share from 0 to 1`)
      }
      sum += share
    }
    if (sum > 1 + 1e-9) throw new RangeError(`the rates of ${operation} add up to ${sum}, expected at most 1`)
  }
}

const perOperation = <A>(value: (operation: Operation) => A): Record<Operation, A> => ({
  target: value("target"),
  write: value("write"),
  query: value("query"),
  watch: value("watch")
})

const outageError = BackendError.make(new BackendError.Unavailable({ detail: "injected outage" }))

/** The next fault of each call: from the script, else drawn by the rates. */
const makePlan = (options: Options, random: typeof Random.Random.Service) => {
  const maximumDelay = Duration.toMillis(Duration.fromInputUnsafe(options.maximumDelay ?? "1 second"))
  const script = {
    target: [...(options.script?.target ?? [])],
    write: [...(options.script?.write ?? [])],
    query: [...(options.script?.query ?? [])],
    watch: [...(options.script?.watch ?? [])]
  }
  let rates = options.rates ?? {}

  const drawnDelay = () => Duration.millis(Math.ceil(random.nextDoubleUnsafe() * maximumDelay))

  /** Which fault the rates draw: one number decides, so that adding a rate does not shift what is drawn later. */
  const draw = <R extends ReadRates>(shares: R | undefined): keyof R | undefined => {
    if (shares === undefined) return undefined
    let left = random.nextDoubleUnsafe()
    for (const name of Object.keys(shares) as Array<keyof R & string>) {
      left -= (shares[name] as number | undefined) ?? 0
      if (left < 0) return name
    }
    return undefined
  }

  const drawnRead = (name: keyof ReadRates): ReadFault => {
    switch (name) {
      case "failBefore":
        return failBefore()
      case "throttle":
        return throttle()
      case "delay":
        return { _tag: "Delay", by: drawnDelay(), then: pass }
      case "hang":
        return hang
    }
  }

  const drawnPartial = (batch: ReadonlyArray<Write>): Partial => {
    const leftOut = new Set([Math.floor(random.nextDoubleUnsafe() * batch.length)])
    batch.forEach((_, index) => {
      if (random.nextDoubleUnsafe() < 0.5) leftOut.add(index)
    })
    return partial({
      applies: (_, index) => !leftOut.has(index),
      rest: random.nextDoubleUnsafe() < 0.5 ? "retry" : "missing"
    })
  }

  const readFault = (operation: "target" | "query"): ReadFault => {
    const scripted = script[operation].shift()
    if (scripted !== undefined) return scripted
    const drawn = draw(rates[operation])
    return drawn === undefined ? pass : drawnRead(drawn)
  }

  const writeFault = (batch: ReadonlyArray<Write>): WriteFault => {
    const scripted = script.write.shift()
    if (scripted !== undefined) return scripted
    const drawn = draw(rates.write)
    switch (drawn) {
      case undefined:
        return pass
      case "failAfter":
        return failAfter()
      case "partial":
        return drawnPartial(batch)
      case "late":
        return late(drawnDelay())
      case "hangAfter":
        return hangAfter
      default:
        return drawnRead(drawn)
    }
  }

  const watchFault = (): WatchFault => {
    const scripted = script.watch.shift()
    if (scripted !== undefined) return scripted
    const drawn = draw(rates.watch)
    if (drawn === undefined) return pass
    return drawn === "cut" ? cut(Math.floor(random.nextDoubleUnsafe() * 10)) : drawnRead(drawn)
  }

  return {
    readFault,
    writeFault,
    watchFault,
    remaining: () => perOperation((operation) => script[operation].length),
    inject: (more: Script) => {
      script.target.push(...(more.target ?? []))
      script.write.push(...(more.write ?? []))
      script.query.push(...(more.query ?? []))
      script.watch.push(...(more.watch ?? []))
    },
    /** Ends the script and the rates. */
    clear: () => {
      rates = {}
      for (const operation of operations) script[operation].length = 0
    }
  }
}

/** Calls of a backend with an injected fault. */
const makeFaultyCalls = (backend: Backend.Service, scope: Scope.Scope, count: (fault: keyof Injected) => void) => {
  const read = <A>(
    fault: ReadFault,
    call: Effect.Effect<A, BackendError.BackendError>
  ): Effect.Effect<A, BackendError.BackendError> => {
    if (fault._tag === "Pass") return call
    count(fault._tag)
    switch (fault._tag) {
      case "FailBefore":
      case "Throttle":
        return Effect.fail(fault.error)
      case "Hang":
        return Effect.never
      case "Delay":
        return Effect.andThen(
          Effect.sleep(fault.by),
          Effect.suspend(() => read(fault.then, call))
        )
    }
  }

  const writePartly = (
    fault: Partial,
    batch: ReadonlyArray<Write>
  ): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError.BackendError> => {
    const taken = batch.map(fault.applies)
    if (taken.every((applied) => applied)) return backend.write(batch)
    count("Partial")
    return Effect.map(backend.write(batch.filter((_, index) => taken[index]!)), (answers) => {
      const remaining = [...answers]
      const outcomes: Array<Backend.Outcome> = []
      for (const applied of taken) {
        if (!applied && fault.rest === "missing") break
        const outcome: Backend.Outcome | undefined = applied ? remaining.shift() : { _tag: "Retry", error: fault.error }
        if (outcome === undefined) break
        outcomes.push(outcome)
      }
      return outcomes
    })
  }

  const write = (
    fault: WriteFault,
    batch: ReadonlyArray<Write>
  ): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError.BackendError> => {
    switch (fault._tag) {
      case "FailAfter": {
        count("FailAfter")
        return Effect.andThen(backend.write(batch), Effect.fail(fault.error))
      }
      case "Partial":
        return writePartly(fault, batch)
      case "Late": {
        count("Late")
        return backend
          .write(batch)
          .pipe(
            Effect.delay(fault.after),
            Effect.ignore,
            Effect.forkIn(scope),
            Effect.andThen(Effect.fail(fault.error))
          )
      }
      case "HangAfter": {
        count("HangAfter")
        return Effect.andThen(backend.write(batch), Effect.never)
      }
      case "Delay": {
        count("Delay")
        return Effect.andThen(
          Effect.sleep(fault.by),
          Effect.suspend(() => write(fault.then, batch))
        )
      }
      default:
        return read(fault, backend.write(batch))
    }
  }

  const cutOff = (
    fault: Cut,
    stream: Stream.Stream<WatchItem, BackendError.BackendError>
  ): Stream.Stream<WatchItem, BackendError.BackendError> =>
    Stream.concat(
      Stream.take(stream, fault.after),
      Stream.fromEffect(
        Effect.suspend(() => {
          count("Cut")
          return Effect.fail(fault.error)
        })
      )
    )

  const watch = (
    fault: WatchFault,
    stream: Stream.Stream<WatchItem, BackendError.BackendError>
  ): Stream.Stream<WatchItem, BackendError.BackendError> => {
    switch (fault._tag) {
      case "Pass":
        return stream
      case "Cut":
        return cutOff(fault, stream)
      case "Delay": {
        count("Delay")
        return Stream.unwrap(
          Effect.as(
            Effect.sleep(fault.by),
            Stream.suspend(() => watch(fault.then, stream))
          )
        )
      }
      default:
        return Stream.fromEffect(read<never>(fault, Effect.never))
    }
  }

  return { read, write, watch }
}

const make = (
  options: Options
): Effect.Effect<Context.Context<Backend.Backend | FaultyBackend>, never, Backend.Backend | Scope.Scope> =>
  Effect.gen(function* () {
    checkRates(options.rates)
    const backend = yield* Backend.Backend
    const scope = yield* Effect.scope
    const random = yield* options.seed === undefined ? Random.Random : Random.withSeed(Random.Random, options.seed)
    const plan = makePlan(options, random)

    const injected: Tally = {
      FailBefore: 0,
      FailAfter: 0,
      Partial: 0,
      Late: 0,
      Throttle: 0,
      Delay: 0,
      Hang: 0,
      HangAfter: 0,
      Cut: 0,
      Outage: 0
    }
    const count = (fault: keyof Injected): void => {
      injected[fault]++
    }
    const faultyCalls = makeFaultyCalls(backend, scope, count)
    const calls = perOperation(() => 0)
    let outage: BackendError.BackendError | undefined
    let outageBegins = Deferred.makeUnsafe<never, BackendError.BackendError>()

    /** Counts the call, and fails it in an outage before it can take anything from the script. */
    const begin = <A, E>(
      operation: Operation,
      go: () => Effect.Effect<A, E>
    ): Effect.Effect<A, E | BackendError.BackendError> =>
      Effect.suspend((): Effect.Effect<A, E | BackendError.BackendError> => {
        calls[operation]++
        if (outage === undefined) return go()
        count("Outage")
        return Effect.fail(outage)
      })

    const faulty: FaultyBackend["Service"] = {
      injected: Effect.sync(() => ({ ...injected })),
      calls: Effect.sync(() => ({ ...calls })),
      remaining: Effect.sync(plan.remaining),
      inject: (more) => Effect.sync(() => plan.inject(more)),
      outage: (error = outageError) =>
        Effect.suspend(() => {
          outage = error
          return Effect.asVoid(Deferred.fail(outageBegins, error))
        }),
      heal: Effect.sync(() => {
        if (outage !== undefined) outageBegins = Deferred.makeUnsafe()
        outage = undefined
        plan.clear()
      })
    }

    const { read, watch, write } = faultyCalls
    const service: Backend.Service = {
      mode: backend.mode,
      target: begin("target", () => read(plan.readFault("target"), backend.target)),
      write: (batch) => begin("write", () => write(plan.writeFault(batch), batch)),
      query: (query: EventQuery) => begin("query", () => read(plan.readFault("query"), backend.query(query))),
      watch: (filter: EventFilter, from: WatchFrom) =>
        Stream.unwrap(
          begin("watch", () =>
            Effect.succeed(
              Stream.interruptWhen(watch(plan.watchFault(), backend.watch(filter, from)), Deferred.await(outageBegins))
            )
          )
        )
    }

    return Context.make(Backend.Backend, service).pipe(Context.add(FaultyBackend, faulty))
  })

/**
 * Puts faults in front of a backend.
 *
 * Composes as a policy does, `backend.pipe(FaultyBackend.layer(options))`, and gives the handle on the faults beside the
 * backend. Without options nothing goes wrong until `inject` or `outage` of the handle is called.
 *
 * Delays and late writes go by the `Clock` of the caller, so that `TestClock` drives them; late writes that are still to
 * come when the layer's scope closes are not made.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer =
  (options: Options = {}) =>
  <E, R>(self: Layer.Layer<Backend.Backend, E, R>): Layer.Layer<Backend.Backend | FaultyBackend, E, R> =>
    Layer.effectContext(make(options)).pipe(Layer.provide(self))
