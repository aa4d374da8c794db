/**
 * What a host puts before acceptance: pure functions from one event to another, or to none.
 *
 * A transform sees the event as the caller gave it, before its message is rendered, so whatever it takes out of the data
 * is not in the message either. It keeps no state and reads no clock; what must remember (batching, counting, retrying)
 * is a `Policy` or belongs to the recorder.
 *
 * @since 0.1.0
 */
import { type EventDataInput, fields } from "./EventData.ts"
import { isPlain, MAXIMUM_DEPTH, MAXIMUM_VALUES, setField } from "./internal/json.ts"
import { remember } from "./internal/remember.ts"
import type { EventDraft } from "./EventDraft.ts"

/**
 * One step before acceptance.
 *
 * `apply` answers the event to go on with, or `undefined` to leave it out, which is counted under `name`. It must not
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
 * Leaves out what the predicate does not hold for.
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
 * Adds to an event: the answer's fields replace the event's, `data` and `labels` are merged into what is there. A field
 * that the answer leaves `undefined` stays as it is.
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
 * Keeps a share of the events, chosen by a text of each: all events with the same text stay or go together, in every
 * process and at every run.
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

// FNV-1a, then a final mix, because FNV alone leaves texts that differ at the end close together.
const fraction = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000
}

/**
 * What stands where a secret stood.
 *
 * @category constants
 * @since 0.1.0
 */
export const REDACTED = "[redacted]"

// Square brackets may not stand in a label.
const REDACTED_LABEL = "redacted"

/**
 * Which keys name secrets, unless a host says otherwise: passwords, tokens, API and private keys, credentials, cookies and
 * authorization headers, in any spelling (`apiKey`, `API_KEY`, `x-api-key`).
 *
 * Counts of a language model's tokens are none (`tokenCount`, `max_tokens`, `tokensUsed`), and neither is the verb
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

// What is no text of the caller's own, or belongs to the involved object: neither a key nor a pattern changes it.
const UNTOUCHED: ReadonlySet<string> = new Set(["name", "namespace", "duration"])
const BUILT_IN: ReadonlySet<string> = new Set(["name", "namespace", "arguments", ...Object.keys(fields)])

/**
 * Masks secrets in `arguments`, at any depth, in the fields that a host's catalogue declares, and in labels: the values
 * under keys that match `keys` (`secretKey` unless given). And what `patterns` match inside texts: of the data, of a
 * message that the caller wrote, of the action; a label's value is masked whole.
 *
 * Recorders do this without being told; give it to them in `transforms` to mask more, for example by `patterns`.
 *
 * **Details**
 *
 * - The fourteen built-in fields have names that we gave, so no key masks them; patterns see their texts, except for
 *   `name`, `namespace` and `duration`.
 * - Kubernetes' way of writing a variable is understood: `{ name: "DB_PASSWORD", value: "…" }` loses its `value`.
 * - What is masked becomes the text `[redacted]`, whatever it was: also a list, and also a number, because a number may be
 *   a PIN. Only `true`, `false`, `null` and the empty text stay, which give nothing away.
 * - So a field that a catalogue declares under such a key, for example `secretCount: "count"`, is a text in the store from
 *   then on, and a message prints nothing for it, as for every value that is not what was declared. Give it another name,
 *   or give `keys` to a redaction of your own and switch the recorder's off (`maskSecrets: false`).
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
  /** Every place where one matches is masked, with or without the flag `g`. */
  readonly patterns?: ReadonlyArray<RegExp> | undefined
}): Transform => {
  // Copies, because a pattern with a state would carry it from one text to the next.
  const keys = new RegExp(options?.keys ?? secretKey)
  const patterns = (options?.patterns ?? []).map(
    ({ flags, source }) => new RegExp(source, `${flags.replace("g", "")}g`)
  )
  const isSecret = remember((key) => {
    keys.lastIndex = 0
    return keys.test(key)
  })

  const maskText = (text: string): string => {
    let masked = text
    for (const pattern of patterns) masked = masked.replace(pattern, (found) => (found === "" ? "" : REDACTED))
    return masked
  }
  // Answers the value itself where nothing in it is masked, so that the usual event costs no copy.
  const mask = (value: unknown, depth: number, budget: Budget): unknown => {
    if (typeof value === "string") return patterns.length === 0 ? value : maskText(value)
    // Acceptance refuses what nests deeper, what is larger, and what is neither a list nor a plain object.
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
      // Each field has a budget of its own, the same that acceptance has for it.
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
