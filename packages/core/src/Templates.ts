/**
 * The registry of message templates: one template per reason, and what catalogues declare about each reason and kind.
 *
 * **When to use**
 *
 * Catalogues register their templates when their layers are built, and the recorder renders messages with them. Use it
 * directly to look up a reason, or to replace a message while the program runs.
 *
 * **Details**
 *
 * A template is checked when it is set, so rendering cannot fail. For a reason without a template the message is a plain one
 * that names the reason and the object.
 *
 * **Example** (Replacing a message)
 *
 * ```ts
 * import * as EventCatalogue from "@tidings/core/EventCatalogue"
 * import { Templates, layer } from "@tidings/core/Templates"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
 *   Order: {
 *     apiVersion: "shop.example.com/v1",
 *     fields: { podCount: "count" },
 *     reasons: { OrderScaled: { meaning: "More or fewer pods work on it.", message: "{{.Name}} has {{.PodCount}} pods" } }
 *   }
 * }) {}
 *
 * const program = Effect.gen(function* () {
 *   const templates = yield* Templates
 *   yield* templates.register(Orders.kinds)
 *   assert.equal(templates.render("OrderScaled", { name: "o-17", podCount: 3 }), "o-17 has 3 pods")
 *
 *   yield* templates.set("OrderScaled", "{{.PodCount}} pods work on {{.Name}} now")
 *   assert.equal(templates.render("OrderScaled", { name: "o-17", podCount: 3 }), "3 pods work on o-17 now")
 *
 *   const refused = yield* Effect.flip(templates.set("OrderScaled", "{{.PodCnt}} pods"))
 *   assert.match(refused.message, /^1:3 unknown field .PodCnt \(did you mean .PodCount\?\)/)
 *   assert.equal(templates.get("OrderScaled"), "{{.PodCount}} pods work on {{.Name}} now")
 * })
 * await Effect.runPromise(Effect.provide(program, layer))
 * ```
 *
 * @since 0.1.0
 */
import * as MessageTemplate from "@tidings/templates/MessageTemplate"
import * as Suggestion from "@tidings/templates/Suggestion"
import type { TemplateError } from "@tidings/templates/TemplateError"
import * as TemplateFields from "@tidings/templates/TemplateFields"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { Field, Fields, Kind, Kinds, Reason } from "./Catalogue.ts"
import type { EventType } from "./Event.ts"
import * as EventData from "./EventData.ts"
import * as names from "./internal/names.ts"
import * as text from "./internal/text.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A reason that a catalogue declares.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReasonEntry {
  readonly reason: string
  readonly kind: string
  /** The type of its events, unless a call gives another one. */
  readonly type: EventType
  /** What the reason means, in a sentence. */
  readonly meaning: string
  /** The current template of its message. */
  readonly message: string
  /**
   * The data that a call must give: what the declared message prints outside every `{{if}}`. A message that replaces it at
   * run time does not change it.
   */
  readonly needs: ReadonlyArray<string>
}

/**
 * A kind that a catalogue declares.
 *
 * @category models
 * @since 0.1.0
 */
export interface KindEntry {
  readonly kind: string
  readonly apiVersion: string
  /** The declared data of its events. */
  readonly fields: Fields
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * One thing that is wrong with a catalogue.
 *
 * @category errors
 * @since 0.1.0
 */
export interface CatalogueIssue {
  /** Where: `Order.OrderScaled.message`, `Order.fields.orderId`, `messages.OrderScaled`. */
  readonly path: string
  /** What is wrong there, and what is expected. */
  readonly detail: string
  /** Where a template is wrong: its mistakes with line, column and hint. */
  readonly template?: TemplateError
}

/**
 * A catalogue that cannot be used, with everything that is wrong with it. Nothing of it was registered.
 *
 * **Example**
 *
 * ```ts
 * import { CatalogueError } from "@tidings/core/Templates"
 * import assert from "node:assert/strict"
 *
 * const error = new CatalogueError({ issues: [{ path: "Order.fields.name", detail: "every event has it: leave it out" }] })
 * assert.equal(error.message, "the catalogue cannot be used:\n- Order.fields.name: every event has it: leave it out")
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class CatalogueError extends Data.TaggedError("CatalogueError")<{
  readonly issues: ReadonlyArray<CatalogueIssue>
}> {
  override get message(): string {
    const issues = this.issues.map(({ detail, path }) => `\n- ${path}: ${detail.replaceAll("\n", "\n  ")}`)
    return `the catalogue cannot be used:${issues.join("")}`
  }
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * The registry of reasons, kinds and messages.
 *
 * - `render`: the message of an event. Pure and fast: one look-up and a compiled template. In the place of a field outside
 *   every `{{if}}` that has no value, it prints a mark such as `<no stepId>`. It never fails: where the data cannot be
 *   read, the message names only the reason.
 * - `get`: the template of a reason, `undefined` where it has none.
 * - `set`: replaces the template of a reason, declared or not, from the next event on. Fails with `TemplateError` where the
 *   template is wrong, and with `CatalogueError` where the name of the reason is not valid; the former template stays.
 * - `register`: adds a catalogue, with other `messages` for some of its reasons, and replaces templates that were set before
 *   their reason was declared. All or nothing. Adding the same definition again only applies the messages.
 * - `reason` and `kind`: the declaration of one; `reasons` and `kinds`: of all, in the order in which they were declared.
 *
 * @category services
 * @since 0.1.0
 */
export class Templates extends Context.Service<
  Templates,
  {
    readonly render: (reason: string, data: EventData.EventData) => string
    readonly get: (reason: string) => string | undefined
    readonly set: (reason: string, template: string) => Effect.Effect<void, TemplateError | CatalogueError>
    readonly register: (
      kinds: Kinds,
      messages?: { readonly [reason: string]: string }
    ) => Effect.Effect<void, CatalogueError>
    readonly reason: (name: string) => ReasonEntry | undefined
    readonly kind: (name: string) => KindEntry | undefined
    readonly reasons: () => ReadonlyArray<ReasonEntry>
    readonly kinds: () => ReadonlyArray<KindEntry>
  }
>()("@tidings/core/Templates") {}

type Template = MessageTemplate.MessageTemplate<EventData.EventData>
type TemplateFieldsOfData = TemplateFields.Fields<EventData.EventData>

/** Replaced as a whole, so that a concurrent `render` uses either the former or the new one. */
interface Entry {
  readonly template: Template
  readonly fields: TemplateFieldsOfData
  /** Absent for a reason that no catalogue declares. */
  readonly declared: ReasonEntry | undefined
}

/**
 * Makes an empty registry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Templates["Service"]> = Effect.sync(() => {
  const catalogues = new Set<Kinds>()
  const kinds = new Map<string, KindEntry>()
  const entries = new Map<string, Entry>()

  return Templates.of({
    render: (reason, data) => {
      try {
        return entries.get(reason)?.template.render(data) ?? plainMessage(reason, data)
      } catch {
        // There is no data, or a getter in it threw.
        return `${typeof reason === "string" ? reason : text.show(reason)} was reported`
      }
    },

    get: (reason) => entries.get(reason)?.template.source,

    set: (reason, source) =>
      Effect.suspend((): Effect.Effect<void, TemplateError | CatalogueError> => {
        if (typeof reason !== "string" || typeof source !== "string") {
          const [path, found] = typeof reason === "string" ? [`the template of ${reason}`, source] : ["reason", reason]
          return Effect.fail(
            new CatalogueError({ issues: [{ path, detail: `found ${text.show(found)}, expected a text` }] })
          )
        }
        const former = entries.get(reason)
        const fault = former === undefined ? names.reasonFault(reason) : undefined
        if (fault !== undefined) {
          return Effect.fail(new CatalogueError({ issues: [{ path: `reason ${text.show(reason)}`, detail: fault }] }))
        }
        const fields = former === undefined ? builtInFields : former.fields
        const compiled = compile(source, fields)
        if (Result.isFailure(compiled)) return Effect.fail(compiled.failure)
        entries.set(reason, withTemplate({ fields, declared: former?.declared }, compiled.success))
        return Effect.void
      }),

    register: (definition, messages = {}) =>
      Effect.suspend(() => {
        const reader = new DefinitionReader(kinds, entries)
        try {
          if (catalogues.has(definition)) reader.keep(definition)
          else reader.readKinds(definition)
          reader.readMessages(messages)
        } catch (thrown) {
          const detail = `${text.showThrown(thrown)}; expected an object of kinds, each with its apiVersion and reasons`
          return Effect.fail(new CatalogueError({ issues: [{ path: "the definition", detail }] }))
        }
        if (reader.issues.length > 0) return Effect.fail(new CatalogueError({ issues: reader.issues }))

        catalogues.add(definition)
        for (const [name, kind] of reader.kinds) kinds.set(name, kind)
        for (const [name, entry] of reader.entries) entries.set(name, entry)
        return Effect.void
      }),

    reason: (name) => entries.get(name)?.declared,
    kind: (name) => kinds.get(name),
    reasons: () => [...entries.values()].flatMap((entry) => entry.declared ?? []),
    kinds: () => [...kinds.values()]
  })
})

/**
 * An empty registry: every event has the plain message until catalogues are added.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Templates> = Layer.effect(Templates, make)

const plainMessage = (reason: string, { name = "", namespace = "" }: EventData.EventData): string =>
  namespace === "" ? `${reason} was reported for ${name}` : `${reason} was reported for ${namespace}/${name}`

const withTemplate = (entry: Omit<Entry, "template">, template: Template): Entry => ({
  fields: entry.fields,
  template,
  declared: entry.declared === undefined ? undefined : { ...entry.declared, message: template.source }
})

// ---------------------------------------------------------------------------
// fields
// ---------------------------------------------------------------------------

/** Fields that are set from the object: always a name, and a namespace or none. */
const isOfTheObject = (key: string): boolean => key === "name" || key === "namespace"

const compile = (source: string, fields: TemplateFieldsOfData): Result.Result<Template, TemplateError> =>
  MessageTemplate.compile(source, fields, { mark: (key) => (isOfTheObject(key) ? undefined : `<no ${key}>`) })

/** The fields of every event. */
const ofEveryEvent = { name: "text", namespace: "text", arguments: "open" } as const

const makeFields = (types: {
  readonly [field: string]: TemplateFields.FieldType
}): Result.Result<TemplateFieldsOfData, TemplateFields.TemplateFieldsError> =>
  // These are read for every event, and a function that reads one fixed key is what engines optimise best.
  TemplateFields.make<EventData.EventData>(types, {
    get: {
      name: (data) => data.name,
      namespace: (data) => data.namespace,
      arguments: (data) => data.arguments,
      operation: (data) => data.operation,
      serviceClass: (data) => data.serviceClass,
      error: (data) => data.error,
      duration: (data) => data.duration,
      stepCount: (data) => data.stepCount,
      stepId: (data) => data.stepId,
      stepTool: (data) => data.stepTool,
      conditionResult: (data) => data.conditionResult,
      executionId: (data) => data.executionId,
      toolNames: (data) => data.toolNames,
      allowFailure: (data) => data.allowFailure
    }
  })

const builtInFields = Result.getOrThrow(makeFields({ ...ofEveryEvent, ...EventData.fields }))

// ---------------------------------------------------------------------------
// reading a catalogue
// ---------------------------------------------------------------------------

/** Reads one definition and collects everything that is wrong with it. It changes nothing that is registered. */
class DefinitionReader {
  readonly issues: Array<CatalogueIssue> = []
  readonly kinds = new Map<string, KindEntry>()
  private readonly declared = new Map<string, Omit<Entry, "template">>()
  private readonly templates = new Map<string, Template>()
  private readonly registeredKinds: ReadonlyMap<string, KindEntry>
  private readonly registeredEntries: ReadonlyMap<string, Entry>

  constructor(registeredKinds: ReadonlyMap<string, KindEntry>, registeredEntries: ReadonlyMap<string, Entry>) {
    this.registeredKinds = registeredKinds
    this.registeredEntries = registeredEntries
  }

  /** What to register, by reason; complete where there are no issues. */
  get entries(): ReadonlyArray<readonly [string, Entry]> {
    return [...this.templates].map(([reason, template]) => [reason, withTemplate(this.declared.get(reason)!, template)])
  }

  /** Reuses what an earlier registration of the same definition has compiled. */
  keep(definition: Kinds): void {
    for (const { reasons } of Object.values(definition)) {
      for (const reason of Object.keys(reasons)) {
        const registered = this.registeredEntries.get(reason)!
        this.declared.set(reason, registered)
        this.templates.set(reason, registered.template)
      }
    }
  }

  readKinds(definition: Kinds): void {
    const methods = new Map<string, string>()
    for (const [kind, declaration] of Object.entries(definition)) {
      if (!names.isKind(kind)) {
        this.note(text.show(kind), "expected a kind such as Order: letters and digits, a letter first")
      }
      const method = names.methodName(kind)
      const owner = method === "crdEvent" ? "every catalogue" : methods.get(method)
      if (owner !== undefined) this.note(kind, `its method would be ${method}, which ${owner} has: rename the kind`)
      methods.set(method, kind)

      const { apiVersion, reasons } = declaration
      if (typeof apiVersion !== "string" || !names.isApiVersion(apiVersion)) {
        this.note(`${kind}.apiVersion`, `found ${text.show(apiVersion)}, expected a version such as v1 or apps/v1`)
      }
      const fields = this.readFields(kind, declaration)
      this.readKind(kind, apiVersion, declaration.fields ?? {})
      for (const [reason, declared] of Object.entries(reasons)) this.readReason(kind, reason, declared, fields)
    }
  }

  readMessages(messages: { readonly [reason: string]: string }): void {
    if (typeof messages !== "object" || messages === null) {
      return this.note("messages", `found ${text.show(messages)}, expected an object with a template for each reason`)
    }
    for (const [reason, message] of Object.entries(messages)) {
      const declared = this.declared.get(reason)
      if (declared === undefined) {
        const meant = Suggestion.nearest(reason, this.declared.keys())
        const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`
        this.note(`messages.${reason}`, `the catalogue has no such reason${hint}`)
      } else this.compile(`messages.${reason}`, reason, message, declared.fields)
    }
  }

  private note(path: string, detail: string): void {
    this.issues.push({ path, detail })
  }

  /** Several catalogues may declare reasons for one kind, if they declare the same `apiVersion`. */
  private readKind(kind: string, apiVersion: string, fields: Fields): void {
    const registered = this.registeredKinds.get(kind)
    if (registered !== undefined && registered.apiVersion !== apiVersion) {
      this.note(`${kind}.apiVersion`, `another catalogue has the kind as ${registered.apiVersion}, expected the same`)
    }
    this.kinds.set(kind, { kind, apiVersion, fields: { ...registered?.fields, ...fields } })
  }

  private readFields(kind: string, { fields = {} }: Kind): TemplateFieldsOfData {
    const types: { [field: string]: TemplateFields.FieldType } = { ...ofEveryEvent }
    let made = makeFields(types)
    for (const [field, type] of Object.entries(fields)) {
      const path = `${kind}.fields.${field}`
      const fault = fieldFault(field, type)
      if (fault !== undefined) {
        this.note(path, fault)
        continue
      }
      const extended = makeFields({ ...types, [field]: type })
      if (Result.isFailure(extended)) {
        this.note(path, extended.failure.message)
        continue
      }
      types[field] = type
      made = extended
    }
    return Result.getOrThrow(made)
  }

  private readReason(kind: string, reason: string, declared: Reason, fields: TemplateFieldsOfData): void {
    const path = `${kind}.${reason}`
    const { meaning, message, type = "Normal" } = declared
    const fault = names.reasonFault(reason)
    if (fault !== undefined) this.note(path, fault)
    const owner = this.declared.get(reason)?.declared ?? this.registeredEntries.get(reason)?.declared
    if (owner !== undefined) this.note(path, `${owner.kind} has this reason already: a reason belongs to one kind only`)
    if (type !== "Normal" && type !== "Warning") {
      this.note(`${path}.type`, `found ${text.show(type)}, expected Normal or Warning`)
    }
    if (typeof meaning !== "string" || meaning === "") {
      this.note(`${path}.meaning`, "expected a sentence that says what the reason means")
    }
    const needs = this.compile(`${path}.message`, reason, message, fields)
    this.declared.set(reason, { fields, declared: { reason, kind, type, meaning, message, needs } })
  }

  /** Returns the data that the message requires. */
  private compile(path: string, reason: string, message: string, fields: TemplateFieldsOfData): ReadonlyArray<string> {
    if (typeof message !== "string") {
      this.note(path, `found ${text.show(message)}, expected a text`)
      return []
    }
    const compiled = compile(message, fields)
    if (Result.isFailure(compiled)) {
      this.issues.push({ path, detail: compiled.failure.message, template: compiled.failure })
      return []
    }
    this.templates.set(reason, compiled.success)
    return [...compiled.success.required].filter((key) => !isOfTheObject(key))
  }
}

const fieldFault = (field: string, type: Field): string | undefined => {
  if (Object.hasOwn(ofEveryEvent, field)) return "every event has it: leave it out"
  const isChoice = Array.isArray(type) && type.length > 0 && type.every((choice) => typeof choice === "string")
  if (!isChoice && !fieldTypes.has(type)) {
    return `${text.show(type)} is not a type of a field, expected ${[...fieldTypes].join(", ")}, or a list of texts to choose from`
  }
  const builtIn = Object.entries(EventData.fields).find(([name]) => name === field)?.[1]
  if (builtIn !== undefined && builtIn !== type && !(builtIn === "text" && isChoice)) {
    return `it is built in as "${builtIn}": declare it as that, or choose another name`
  }
  return undefined
}

const fieldTypes: ReadonlySet<Field> = new Set(["text", "count", "flag", "duration", "list"])
