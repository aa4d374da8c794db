/**
 * What help, hints and errors name as an example: of the kinds of the host, where it has a catalogue of its own.
 *
 * @internal
 */
import type { Kinds } from "@tidings/core/EventCatalogue"
import * as TemplateFields from "@tidings/templates/TemplateFields"

/** @internal */
export interface Samples {
  readonly kind: string
  readonly name: string
  /** `KIND/NAME`. */
  readonly object: string
  /** The kind in small letters. */
  readonly lower: string
  readonly other: { readonly kind: string; readonly object: string }
  /** Two objects with a comma between. */
  readonly several: string
  readonly reason: string
  /** A reason that can be waited for, or two of which one comes. */
  readonly outcomes: string
  /** A reason that `explain` takes. */
  readonly explained: string
  /** The arguments of `emit` for an event with data. */
  readonly emit: string
}

/** @internal */
export const builtIn: Samples = {
  kind: "Workflow",
  name: "deploy",
  object: "Workflow/deploy",
  lower: "workflow",
  other: { kind: "MCPServer", object: "MCPServer/search" },
  several: "Workflow/a,MCPServer/b",
  reason: "WorkflowExecuted",
  outcomes: "WorkflowExecuted,WorkflowFailed",
  explained: "WorkflowStepFailed",
  emit: "Workflow/deploy WorkflowExecuted --data stepCount=3 --data duration=1m30s"
}

type Field = NonNullable<Kinds[string]["fields"]>[string]

const valueOf = (type: Field): string => {
  if (typeof type !== "string") return type[0] ?? ""
  const values = {
    text: "example",
    count: "3",
    flag: "true",
    duration: "1m30s",
    list: "a,b",
    open: `'{"key":"value"}'`
  }
  return values[type]
}

/** Fields that the message prints, in any case or under a condition. */
const dataFor = (message: string, fields: { readonly [field: string]: Field }): ReadonlyArray<string> =>
  Object.entries(fields)
    .filter(([field]) => new RegExp(`\\.${TemplateFields.templateName(field)}\\b`).test(message))
    .map(([field, type]) => `--data ${field}=${valueOf(type)}`)

/**
 * Examples of the first kinds of catalogues of a host; those that are built in where there is none.
 *
 * @internal
 */
export const of = (catalogues: ReadonlyArray<{ readonly kinds: Kinds }>): Samples => {
  const kinds = catalogues.flatMap(({ kinds }) => Object.entries(kinds))
  const withReasons = kinds.find(([, { reasons }]) => Object.keys(reasons).length > 0)
  if (withReasons === undefined) return builtIn
  const [kind, { fields = {}, reasons }] = withReasons
  const [other] = kinds.find(([name]) => name !== kind) ?? [kind]
  const all = Object.entries(reasons)
  const [reason, { message }] = all.find(([, { type }]) => type !== "Warning") ?? all[0]!
  const [failing] = all.find(([name, { type }]) => type === "Warning" && name !== reason) ?? [reason]
  const name = `${kind.toLowerCase()}-1`
  const object = `${kind}/${name}`
  return {
    kind,
    name,
    object,
    lower: kind.toLowerCase(),
    other: { kind: other, object: `${other}/${other.toLowerCase()}-2` },
    several: `${object},${other}/${other.toLowerCase()}-2`,
    reason,
    outcomes: failing === reason ? reason : `${reason},${failing}`,
    explained: failing,
    emit: [object, reason, ...dataFor(message, fields)].join(" ")
  }
}
