/**
 * Transforms of events before acceptance: pure functions that change an event or leave it out.
 *
 * A transform gets the event as the caller gave it, before its message is rendered, so what it removes from the data is not
 * in the message either. It keeps no state and reads no clock: batching, counting and retrying are tasks of a `Policy` or
 * of the recorder, which also leaves out what repeats without news (`Transition`).
 *
 * @since 0.1.0
 */
import { type EventDataInput, fields } from "./EventData.ts"
import { isPlain, MAXIMUM_DEPTH, MAXIMUM_VALUES, setField } from "./internal/json.ts"
import { memoize } from "./internal/memoize.ts"
import type { EventDraft } from "./EventDraft.ts"

/**
 * One transform.
 *
 * `apply` returns the event to continue with, or `undefined` to leave it out, which is counted under `name`. It must not
 * throw; where it does, the event is refused with `InvalidEvent`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transform {
  readonly name: string
  readonly apply: (draft: EventDraft) => EventDraft | undefined
}

/**
 * Makes a transform of any pure function.
 *
 * **Example** (One spelling of actions)
 *
 * ```ts
 * import * as Transform from "@tidings/core/Transform"
 * import assert from "node:assert/strict"
 *
 * const lowerCase = Transform.make("lower-case", (draft) =>
 *   draft.action === undefined ? draft : { ...draft, action: draft.action.toLowerCase() }
 * )
 * const draft = lowerCase.apply({ involvedObject: { kind: "Pod", name: "web" }, reason: "Scaled", action: "ScaleUp" })
 * assert.equal(draft?.action, "scaleup")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, apply: (draft: EventDraft) => EventDraft | undefined): Transform => ({ name, apply })

/**
 * Leaves out events for which the predicate is false.
 *
 * **Example**
 *
 * ```ts
 * import * as Transform from "@tidings/core/Transform"
 * import assert from "node:assert/strict"
 *
 * const quiet = Transform.filter("no-health-checks", (draft) => !draft.reason.endsWith("Healthy"))
 * assert.equal(quiet.apply({ involvedObject: { kind: "Pod", name: "web" }, reason: "PodHealthy" }), undefined)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const filter = (name: string, predicate: (draft: EventDraft) => boolean): Transform =>
  make(name, (draft) => (predicate(draft) ? draft : undefined))

/**
 * Adds fields to an event: those of the result replace the event's, and `data` and `labels` are merged. A field that is
 * `undefined` in the result stays as it is.
 *
 * **Example**
 *
 * ```ts
 * import * as Transform from "@tidings/core/Transform"
 * import assert from "node:assert/strict"
 *
 * const inTeam = Transform.enrich("team", () => ({ labels: { team: "payments" } }))
 * const draft = inTeam.apply({ involvedObject: { kind: "Pod", name: "web" }, reason: "Started" })
 * assert.deepEqual(draft?.labels, { team: "payments" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const enrich = (name: string, addition: (draft: EventDraft) => Partial<EventDraft>): Transform =>
  make(name, (draft) => {
    const added = addition(draft)
    const enriched: { -readonly [K in keyof EventDraft]: EventDraft[K] } = { ...draft, ...given(added) }
    if (added.data !== undefined) enriched.data = { ...draft.data, ...given(added.data) }
    if (added.labels !== undefined) enriched.labels = { ...draft.labels, ...given(added.labels) }
    return enriched
  })

/** Without the fields that are `undefined`. */
const given = <A extends object>(fields: A): A =>
  Object.values(fields).includes(undefined)
    ? (Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as A)
    : fields

/**
 * Keeps a share of the events, selected by a hash of a text of each: all events with the same text are kept or left out
 * together, in every process and at every run.
 *
 * `share` is between 0 (none) and 1 (all). `by` is the name of the object unless given: choose `executionId` to keep
 * executions whole.
 *
 * **Example**
 *
 * ```ts
 * import * as Transform from "@tidings/core/Transform"
 * import assert from "node:assert/strict"
 *
 * const tenth = Transform.sample("tenth", { share: 0.1 })
 * const kept = Array.from({ length: 1_000 }, (_, n) => ({ involvedObject: { kind: "Pod", name: `web-${n}` }, reason: "Up" }))
 *   .filter((draft) => tenth.apply(draft) !== undefined)
 * assert.ok(kept.length > 60 && kept.length < 140)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const sample = (
  name: string,
  options: { readonly share: number; readonly by?: ((draft: EventDraft) => string) | undefined }
): Transform => {
  const by = options.by ?? ((draft: EventDraft) => draft.involvedObject.name)
  return filter(name, (draft) => fraction(by(draft)) < options.share)
}

// FNV-1a with a final mix, because FNV alone gives close values to texts that differ only at the end.
const fraction = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000
}

/**
 * The text that replaces a secret.
 *
 * @category constants
 * @since 0.1.0
 */
export const REDACTED = "[redacted]"

// A value of a label cannot contain square brackets.
const REDACTED_LABEL = "redacted"

/**
 * Which keys name secrets, unless a host says otherwise: passwords, tokens, API and private keys, credentials, cookies and
 * authorization headers, in any spelling (`apiKey`, `API_KEY`, `x-api-key`).
 *
 * Counts of a language model's tokens do not match (`tokenCount`, `max_tokens`, `tokensUsed`), and neither does the verb
 * (`tokenize`).
 *
 * @category constants
 * @since 0.1.0
 */
export const secretKey: RegExp = new RegExp(
  [
    "pass[-_. ]?(?:word|wd|phrase|code)|pwd|secret|credential|authorization|cookie|bearer|jwt",
    "(?:access|api|encryption|private|signing|ssh)[-_. ]?key",
    "token(?!s|i[sz]|[-_. ]?(?:budget|count|limit|usage|used))",
    "(?<!(?:cached|completion|input|max|max[-_. ]?new|min|num|output|prompt|reasoning|total|used)[-_. ]?)tokens" +
      "(?![-_. ]?(?:budget|count|limit|usage|used))"
  ].join("|"),
  "i"
)

// Never masked: these are not free text, or belong to the involved object.
const UNTOUCHED: ReadonlySet<string> = new Set(["name", "namespace", "duration"])
const BUILT_IN: ReadonlySet<string> = new Set(["name", "namespace", "arguments", ...Object.keys(fields)])

/**
 * Masks secrets in `arguments`, at any depth, in the fields that a host's catalogue declares, and in labels: the values
 * under keys that match `keys` (`secretKey` unless given). And what `patterns` match inside texts: of the data, of a
 * message that the caller wrote, of the action; a label's value is masked whole.
 *
 * Recorders apply it by default; give another one in `transforms` to mask more, for example by `patterns`.
 *
 * **Details**
 *
 * - The fourteen built-in fields are not masked by their key; `patterns` apply to their texts, except for `name`,
 *   `namespace` and `duration`.
 * - Environment variables in the form of Kubernetes are recognised: of `{ name: "DB_PASSWORD", value: "…" }` the `value` is
 *   masked.
 * - A masked value becomes the text `[redacted]`, also where it was a list or a number, which may be a PIN. Only `true`,
 *   `false`, `null` and the empty text stay, because they reveal nothing.
 * - So a field that a catalogue declares under such a key, for example `secretCount: "count"`, is stored as a text, and a
 *   message prints nothing for it, as for every value of another type than declared. Give the field another name, or use a
 *   redaction of your own with other `keys` and switch the recorder's off (`maskSecrets: false`).
 * - An event in which nothing is masked is not copied.
 *
 * **Example**
 *
 * ```ts
 * import * as Transform from "@tidings/core/Transform"
 * import assert from "node:assert/strict"
 *
 * const masked = Transform.redact({ patterns: [/Bearer \S+/] }).apply({
 *   involvedObject: { kind: "Pod", name: "web" },
 *   reason: "LoginFailed",
 *   data: { error: "Bearer abc was refused", arguments: { user: "eva", password: "x", deep: [{ apiKey: "y" }] } }
 * })
 * assert.deepEqual(masked?.data, {
 *   error: "[redacted] was refused",
 *   arguments: { user: "eva", password: "[redacted]", deep: [{ apiKey: "[redacted]" }] }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const redact = (options?: {
  readonly keys?: RegExp | undefined
  /** Every match is masked, with or without the flag `g`. */
  readonly patterns?: ReadonlyArray<RegExp> | undefined
}): Transform => {
  // Copies, because a pattern with the flag `g` or `y` has a state that would affect the next text.
  const keys = new RegExp(options?.keys ?? secretKey)
  const patterns = (options?.patterns ?? []).map(
    ({ flags, source }) => new RegExp(source, `${flags.replace("g", "")}g`)
  )
  const isSecret = memoize((key) => {
    keys.lastIndex = 0
    return keys.test(key)
  })

  const maskText = (text: string): string => {
    let masked = text
    for (const pattern of patterns) masked = masked.replace(pattern, (found) => (found === "" ? "" : REDACTED))
    return masked
  }
  // Returns the value itself where nothing in it is masked, so that most events cost no copy.
  const mask = (value: unknown, depth: number, budget: Budget): unknown => {
    if (typeof value === "string") return patterns.length === 0 ? value : maskText(value)
    // Left as it is: acceptance refuses what nests deeper, is larger, or is neither a list nor a plain object.
    if (typeof value !== "object" || value === null || depth > MAXIMUM_DEPTH || budget.left <= 0) return value
    if (Array.isArray(value)) {
      let copy: Array<unknown> | undefined
      for (let index = 0; index < value.length && budget.left-- > 0; index++) {
        const masked = mask(value[index], depth + 1, budget)
        if (masked !== value[index]) (copy ??= [...(value as Array<unknown>)])[index] = masked
      }
      return copy ?? value
    }
    return isPlain(value) ? maskRecord(value, depth, budget) : value
  }
  const maskRecord = (
    record: { readonly [key: string]: unknown },
    depth: number,
    budget: Budget
  ): { readonly [key: string]: unknown } => {
    let copy: Record<string, unknown> | undefined
    const named = record["value"] === undefined ? undefined : (record["name"] ?? record["key"])
    const isVariable = typeof named === "string" && isSecret(named)
    for (const key of Object.keys(record)) {
      const value = record[key]
      if (value === undefined) continue
      if (budget.left-- <= 0) break
      const masked =
        isSecret(key) || (isVariable && key === "value") ? maskWhole(value) : mask(value, depth + 1, budget)
      if (masked !== value) setField((copy ??= { ...record }), key, masked)
    }
    return copy ?? record
  }
  const maskData = (data: EventDataInput): EventDataInput => {
    let copy: Record<string, unknown> | undefined
    for (const key in data) {
      const value = data[key]
      if (value === undefined) continue
      let masked: unknown = value
      if (!BUILT_IN.has(key) && isSecret(key)) masked = maskWhole(value)
      // Each field has a limit of its own, the same as at acceptance.
      else if (typeof value === "object") masked = mask(value, 0, { left: MAXIMUM_VALUES })
      else if (patterns.length > 0 && typeof value === "string" && !UNTOUCHED.has(key)) masked = maskText(value)
      if (masked !== value) setField((copy ??= { ...data }), key, masked)
    }
    return copy ?? data
  }
  const maskLabels = (labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
    let copy: Record<string, string> | undefined
    for (const key in labels) {
      const value = labels[key]
      if (typeof value !== "string" || value === "") continue
      if (isSecret(key) || maskText(value) !== value) setField((copy ??= { ...labels }), key, REDACTED_LABEL)
    }
    return copy ?? labels
  }
  const maskOptional = (text: string | undefined): string | undefined =>
    typeof text === "string" ? maskText(text) : text

  return make("redact", (draft) => {
    const data = draft.data === undefined ? undefined : maskData(draft.data)
    const labels = draft.labels === undefined ? undefined : maskLabels(draft.labels)
    const masked = data === draft.data && labels === draft.labels ? draft : { ...draft, data, labels }
    if (patterns.length === 0) return masked
    const message = maskOptional(draft.message)
    const action = maskOptional(draft.action)
    return message === draft.message && action === draft.action ? masked : { ...masked, message, action }
  })
}

interface Budget {
  left: number
}

const maskWhole = (value: unknown): unknown =>
  value === null || value === "" || typeof value === "boolean" ? value : REDACTED
