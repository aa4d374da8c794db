/**
 * The definition of a catalogue: kinds of objects, the data of their events, and their reasons.
 *
 * **When to use**
 *
 * Use these types in code that handles definitions as values, such as a generator of documentation. To declare a catalogue,
 * use `EventCatalogue.Service`, which exports them too.
 *
 * **Example** (Listing the reasons of a definition)
 *
 * ```ts
 * import type { Kinds } from "@tidings/core/Catalogue"
 * import { EventGenerator } from "@tidings/core/EventGenerator"
 * import assert from "node:assert/strict"
 *
 * const reasonsOf = (kinds: Kinds) => Object.values(kinds).flatMap(({ reasons }) => Object.keys(reasons))
 *
 * assert.ok(reasonsOf(EventGenerator.kinds).includes("MCPServerStarting"))
 * ```
 *
 * @since 0.2.0
 */
import type { FieldType } from "@tidings/templates/TemplateFields"
import type { EventType } from "./Event.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import type * as Timestamp from "./Timestamp.ts"

// ---------------------------------------------------------------------------
// definition
// ---------------------------------------------------------------------------

/**
 * The type of a field of event data:
 *
 * - `"text"`: a string
 * - `"count"`: a whole number; a message prints nothing for zero and negative numbers
 * - `"flag"`: true or false
 * - `"duration"`: a `Duration.Input` of Effect, or Go's text (`1m30.5s`); a message prints nothing for zero and negative
 *   ones
 * - `"list"`: strings, printed with `, ` between them
 * - a list of strings: one of these
 *
 * @category models
 * @since 0.1.0
 */
export type Field = Exclude<FieldType, "open">

/**
 * The fields of a kind's event data, by their names in the data. A template names them with a capital, and a trailing `Id`
 * as `ID`: `podCount` is `.PodCount`, `orderId` is `.OrderID`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields {
  readonly [field: string]: Field
}

/**
 * One reason of a catalogue.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reason {
  /** What the reason means, in a sentence: shown by `tidings explain`. */
  readonly meaning: string
  /**
   * The template of the message. `{{.Name}}` and `{{.Namespace}}` are those of the object, `{{.Arguments.key}}` is an
   * argument of the call, all others are fields of the kind.
   */
  readonly message: string
  /** `Normal` unless given. A call may give another one. */
  readonly type?: EventType | undefined
}

/**
 * One kind of objects that events are about.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kind {
  /**
   * `v1`, or group and version: `shop.example.com/v1`. The `apiVersion` of an object, where it has one, takes precedence.
   */
  readonly apiVersion: string
  /** The data of this kind's events. */
  readonly fields?: Fields | undefined
  /** By name, such as `OrderPlaced`. Unique in all catalogues of a program, because a stored event has only this name. */
  readonly reasons: { readonly [reason: string]: Reason }
}

/**
 * The kinds of a catalogue by name, in the spelling of Kubernetes, such as `Order`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kinds {
  readonly [kind: string]: Kind
}

// ---------------------------------------------------------------------------
// calls
// ---------------------------------------------------------------------------

/**
 * What a call can give for an event in addition to its data.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<Time = Timestamp.Input> {
  /** Instead of the type that is declared for the reason. */
  readonly type?: EventType | undefined
  /** What was done or tried. When absent, the `operation` of the data, else the reason. */
  readonly action?: string | undefined
  /** A second object that was involved. */
  readonly related?: ObjectReference | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** When it happened; now when absent. */
  readonly at?: Time | undefined
}

/**
 * The name of a kind's method: `Order` → `orderEvent`, `MCPServer` → `mcpServerEvent`.
 *
 * @category type-level
 * @since 0.1.0
 */
export type MethodName<K extends string> = K extends `${infer First}${infer Rest}`
  ? `${Lowercase<First>}${LowerAcronym<Rest>}Event`
  : never

// Several capitals at the beginning are an acronym, except for the last one, which begins the next word.
type LowerAcronym<S extends string> = S extends `${infer First}${infer Rest}`
  ? First extends Lowercase<First>
    ? S
    : Rest extends `${infer Second}${string}`
      ? Second extends Uppercase<Second>
        ? `${Lowercase<First>}${LowerAcronym<Rest>}`
        : S
      : Lowercase<First>
  : S
