/**
 * Typed catalogues of events: the kinds of objects that a host reports on, the reasons of each kind, and the message of each
 * reason.
 *
 * **When to use**
 *
 * Declare a catalogue of your own where your program has objects of its own to report on. The built-in reasons of
 * MCPServer, ServiceClass, Workflow and ServiceInstance are a catalogue like any other: `EventGenerator`.
 *
 * **Details**
 *
 * A catalogue is a service with one method per kind. The compiler checks the definition (messages name only declared
 * fields, no reason is declared twice) and every call: the method of a kind accepts only the reasons of that kind, and a
 * call must give the data that the message prints outside every `{{if}}`.
 *
 * **Example** (A shop's own catalogue)
 *
 * ```ts
 * import * as EventCatalogue from "@tidings/core/EventCatalogue"
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
 *   Order: {
 *     apiVersion: "shop.example.com/v1",
 *     fields: { orderId: "text", podCount: "count", took: "duration", payment: ["card", "cash"] },
 *     reasons: {
 *       OrderPlaced: { meaning: "A customer placed it.", message: "Order {{.Name}} was placed" },
 *       OrderScaled: {
 *         meaning: "More or fewer pods work on it.",
 *         message: "Order {{.Name}} now has {{.PodCount}} pods{{if .Took}}, after {{.Took}}{{end}}"
 *       },
 *       OrderLost: { meaning: "The order is in no warehouse.", type: "Warning", message: "Order {{.OrderID}} is lost" }
 *     }
 *   }
 * }) {}
 *
 * const order = { metadata: { name: "o-17", namespace: "shop" } }
 *
 * const program = Effect.gen(function* () {
 *   const orders = yield* Orders
 *   yield* orders.orderEvent(order, "OrderPlaced")
 *   yield* orders.orderEvent(order, "OrderScaled", { podCount: 3, took: "90 seconds" })
 *   yield* orders.emit(order, "OrderLost", { orderId: "17" }, { action: "search" })
 *
 *   const manager = yield* EventManager.EventManager
 *   const { events } = yield* manager.queryEvents({ namespace: "shop" })
 *   return events.map(({ event }) => `${event.type}: ${event.message}`)
 * })
 *
 * const layer = Orders.layer.pipe(Layer.provideMerge(EventManager.layerMemory()))
 * assert.deepEqual(await Effect.runPromise(Effect.provide(program, layer)), [
 *   "Warning: Order 17 is lost",
 *   "Normal: Order o-17 now has 3 pods, after 1m30s",
 *   "Normal: Order o-17 was placed"
 * ])
 * ```
 *
 * @since 0.1.0
 */
import type { Mistake } from "@tidings/templates/TemplateCheck"
import type { TemplateError } from "@tidings/templates/TemplateError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Backend } from "./Backend.ts"
import type { CallOptions, Kinds, MethodName } from "./Catalogue.ts"
import * as catalogueCalls from "./internal/catalogueCalls.ts"
import type {
  AllReasons,
  CheckedKinds,
  CheckedMessages,
  FieldsOf,
  KindOf,
  Known,
  KnownKind,
  NeedsOf,
  NoReasonTwice,
  ReasonsOf
} from "./internal/catalogueCheck.ts"
import type { ObjectInput } from "./ObjectReference.ts"
import { Recorder, type Recorded, type RecordError } from "./Delivery.ts"
import { type CatalogueError, Templates } from "./Templates.ts"
import type * as Timestamp from "./Timestamp.ts"

export type { CallOptions, Field, Fields, Kind, Kinds, MethodName, Reason } from "./Catalogue.ts"

// ---------------------------------------------------------------------------
// calls
// ---------------------------------------------------------------------------

/**
 * The types of durations and points in time in calls: those of Effect unless given. The promises of `tidings` use others,
 * which are not types of Effect.
 *
 * @category type-level
 * @since 0.2.0
 */
export interface Units {
  readonly duration: Duration.Input | (string & {})
  readonly time: Timestamp.Input
}

interface FieldValues {
  readonly text: string
  readonly count: number
  readonly flag: boolean
  readonly list: ReadonlyArray<string>
}

type FieldValue<F, U extends Units> = F extends keyof FieldValues
  ? FieldValues[F]
  : F extends "duration"
    ? U["duration"]
    : F extends ReadonlyArray<infer V>
      ? V
      : never

interface Arguments {
  /** Extra key-values of any JSON. */
  readonly arguments?: { readonly [key: string]: unknown } | undefined
}

type Simplify<T> = { [K in keyof T]: T[K] } & {}

/**
 * The data of a call for a kind with the fields `F`, where the message prints the fields `Required` in any case.
 *
 * @category type-level
 * @since 0.1.0
 */
export type CallData<F, Required, U extends Units = Units> = Simplify<
  { readonly [K in keyof F as K extends Required ? K : never]: FieldValue<F[K], U> } & {
    readonly [K in keyof F as K extends Required ? never : K]?: FieldValue<F[K], U> | undefined
  } & Arguments
>

/**
 * The arguments after the reason. The data may be left out where the message requires none. `Needs` maps each reason to the
 * fields it requires; of a reason that is not in it anything is accepted here, because the reason itself is reported.
 *
 * @category type-level
 * @since 0.1.0
 */
export type CallArguments<F, Needs, R, U extends Units = Units> = [R] extends [keyof Needs]
  ? [Needs[R]] extends [never]
    ? [data?: CallData<F, never, U> | undefined, options?: CallOptions<U["time"]> | undefined]
    : [data: CallData<F, Needs[R], U>, options?: CallOptions<U["time"]> | undefined]
  : ReadonlyArray<unknown>

/**
 * The method of one kind. `Needs` has the data that each reason requires.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface KindMethod<Name extends string, F, Needs, Out, U extends Units = Units> {
  <R extends (keyof Needs & string) | (string & {}) = keyof Needs & string>(
    object: ObjectInput,
    reason: R & Known<R, keyof Needs & string, `${Name} has`>,
    ...data: CallArguments<F, Needs, R, U>
  ): Out
}

/**
 * The method for all kinds: the kind follows from the reason.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface EmitMethod<Ks, Out, U extends Units = Units> {
  <R extends AllReasons<Ks> | (string & {}) = AllReasons<Ks>>(
    object: ObjectInput,
    reason: R & Known<R, AllReasons<Ks>, "the catalogue has">,
    ...data: CallArguments<Together<FieldsOf<Ks[KindOf<Ks, R>]>>, Together<NeedsOf<Ks[KindOf<Ks, R>]>>, R, U>
  ): Out
}

// A call with reasons of several kinds requires what each of them requires.
type Together<U> = (U extends U ? (each: U) => void : never) extends (all: infer I) => void ? I : never

/**
 * The method for an object of which only kind, name and namespace are known. No namespace, or an empty one: the object
 * is cluster-scoped.
 *
 * @category type-level
 * @since 0.1.0
 */
export interface CrdMethod<Ks, Out, U extends Units = Units> {
  <
    K extends (keyof Ks & string) | (string & {}) = keyof Ks & string,
    R extends ReasonsOf<KindAt<Ks, K>> | (string & {}) = ReasonsOf<KindAt<Ks, K>>
  >(
    kind: K & KnownKind<K, keyof Ks & string>,
    name: string,
    namespace: string | undefined,
    reason: R & ([K] extends [keyof Ks] ? Known<R, keyof NeedsOf<KindAt<Ks, K>> & string, `${K} has`> : unknown),
    ...data: CallArguments<FieldsOf<KindAt<Ks, K>>, NeedsOf<KindAt<Ks, K>>, R, U>
  ): Out
}

type KindAt<Ks, K> = K extends keyof Ks ? Ks[K] : never

/**
 * The methods that record the events of a catalogue. `Out` is what they return: an effect, or a promise for hosts without
 * Effect. `U` has the types of durations and times.
 *
 * **Example** (The same methods with promises)
 *
 * ```ts
 * import type * as EventCatalogue from "@tidings/core/EventCatalogue"
 * import type { EventGenerator } from "@tidings/core/EventGenerator"
 * import type { Recorded } from "@tidings/core/Recorder"
 *
 * export type PromisedGenerator = EventCatalogue.Generator<typeof EventGenerator.kinds, Promise<Recorded>>
 * ```
 *
 * @category type-level
 * @since 0.1.0
 */
export type Generator<Ks, Out = Effect.Effect<Recorded, RecordError>, U extends Units = Units> = {
  readonly [K in keyof Ks & string as MethodName<K>]: KindMethod<K, FieldsOf<Ks[K]>, NeedsOf<Ks[K]>, Out, U>
} & {
  /** Records an event of any kind: which one follows from the reason. */
  readonly emit: EmitMethod<Ks, Out, U>
  /** Records an event of an object of which only kind, name and namespace are known. */
  readonly crdEvent: CrdMethod<Ks, Out, U>
}

/**
 * What every catalogue has in addition to the methods of its kinds. `Reasons` are those of the catalogue, which editors
 * offer; any other reason that the program declares is accepted as well.
 *
 * @category models
 * @since 0.1.0
 */
export interface Common<Reasons extends string = string> {
  /**
   * Replaces the message of a reason from now on. The template is checked at once; an invalid one is refused with line,
   * column and a hint, and the former one stays.
   */
  readonly setTemplate: (
    reason: Reasons | (string & {}),
    template: string
  ) => Effect.Effect<void, TemplateError | CatalogueError>
  /** The template of a reason's message; `undefined` where the reason has none. */
  readonly getTemplate: (reason: Reasons | (string & {})) => string | undefined
  /** Whether the events are written to a cluster. It never changes. */
  readonly isKubernetesMode: boolean
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * The class of a catalogue.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<Self, Id extends string, Ks> extends Context.ServiceClass<
  Self,
  Id,
  Generator<Ks> & Common<AllReasons<Ks>>
> {
  /** The definition, for documentation and for hosts without Effect. */
  readonly kinds: Ks
  /** Adds the catalogue to `Templates` and records through `Recorder`. */
  readonly layer: Layer.Layer<Self, CatalogueError, Templates | Recorder | Backend>
  /**
   * Like `layer`, with other messages for some reasons. The compiler checks literals, and all messages are checked when the
   * layer is built. Every call makes a new layer: keep it in a constant to share it.
   */
  readonly layerWith: <
    const Ms extends { readonly [reason: string]: string } & { readonly [R in AllReasons<Ks>]?: string }
  >(
    messages: CheckedMessages<Ks, Ms>
  ) => Layer.Layer<Self, CatalogueError, Templates | Recorder | Backend>
}

/**
 * Declares kinds, their data and their reasons, and returns the class of a service whose methods record their events.
 *
 * **When to use**
 *
 * Extend the class that it returns. `id` identifies the service at run time (`"shop/Orders"`).
 *
 * **Details**
 *
 * The compiler checks literals in `kinds`. What it cannot check (types of operands in a template, names, and everything in
 * JavaScript) is checked when the layer is built, which fails with a `CatalogueError` that names every mistake. A method
 * fails with `InvalidEvent` where the object has another kind or no name, the reason is not of that kind, a field that the
 * declared message prints outside every `{{if}}` is not given, or a field has another type than declared.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self = never>() =>
  <const Id extends string, const Ks extends Kinds>(
    id: Id,
    kinds: CheckedKinds<Ks>
  ): [Self] extends [never]
    ? Mistake<"write class X extends EventCatalogue.Service<X>()">
    : ServiceClass<Self, Id, Ks> => {
    const service = Context.Service<Self, Generator<Ks> & Common<AllReasons<Ks>>>()(id)
    const layerWith = (messages: { readonly [reason: string]: string }) =>
      Layer.effect(
        service,
        Effect.gen(function* () {
          const templates = yield* Templates
          const recorder = yield* Recorder
          const { mode } = yield* Backend
          yield* templates.register(kinds, messages)
          const common: Common = {
            setTemplate: templates.set,
            getTemplate: templates.get,
            isKubernetesMode: mode === "kubernetes"
          }
          // The names of the methods are derived from the kinds, here and in the type.
          const methods = catalogueCalls.make(kinds, recorder, templates) as Generator<Ks>
          return { ...methods, ...common }
        })
      )
    // Self is not known here, so the compiler cannot resolve the conditional type.
    return Object.assign(service, { kinds, layer: layerWith({}), layerWith }) as never
  }

/**
 * The constraint of `layerAll` on its catalogues: `unknown` where no reason is declared in two of them, else a type that no
 * value has and that names the reason. For other functions that take several catalogues.
 *
 * @category type-level
 * @since 0.2.0
 */
export type DistinctReasons<Cs> = NoReasonTwice<Cs>

interface AnyClass {
  readonly kinds: object
  readonly layer: Layer.Layer<never, CatalogueError, Templates | Recorder | Backend>
}

/**
 * The layer of several catalogues. A reason that two of them declare does not compile.
 *
 * **Example**
 *
 * ```ts
 * import * as EventCatalogue from "@tidings/core/EventCatalogue"
 * import { EventGenerator } from "@tidings/core/EventGenerator"
 *
 * class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
 *   Order: {
 *     apiVersion: "shop.example.com/v1",
 *     reasons: { OrderPlaced: { meaning: "A customer placed it.", message: "Order {{.Name}} was placed" } }
 *   }
 * }) {}
 *
 * export const layer = EventCatalogue.layerAll(EventGenerator, Orders)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAll = <const Cs extends readonly [AnyClass, ...ReadonlyArray<AnyClass>]>(
  ...catalogues: Cs & NoReasonTwice<Cs>
): Layer.Layer<Layer.Success<Cs[number]["layer"]>, CatalogueError, Templates | Recorder | Backend> => {
  const [first, ...rest] = catalogues as readonly [AnyClass, ...ReadonlyArray<AnyClass>]
  const all = rest.reduce((layer, catalogue) => Layer.merge(layer, catalogue.layer), first.layer)
  // The services are known only from the type of the tuple.
  return all as Layer.Layer<Layer.Success<Cs[number]["layer"]>, CatalogueError, Templates | Recorder | Backend>
}
