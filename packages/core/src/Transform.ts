/**
 * What a host puts before acceptance: pure functions from one event to another, or to none.
 *
 * A transform sees the event as the caller gave it, before its message is rendered, so whatever it takes out of the data
 * is not in the message either. It keeps no state and reads no clock; what must remember (batching, counting, retrying)
 * is a `Policy` or belongs to the recorder.
 *
 * @since 0.1.0
 */
import { remember } from "./internal/remember.ts"
import type { EventDraft } from "./Recorder.ts"

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
 * Adds to an event: the answer's fields replace the event's, `data` and `labels` are merged into what is there.
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
    const enriched = { ...draft, ...added }
    if (added.data !== undefined) enriched.data = { ...draft.data, ...added.data }
    if (added.labels !== undefined) enriched.labels = { ...draft.labels, ...added.labels }
    return enriched
  })

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
 * Which keys name secrets, unless a host says otherwise: passwords, tokens, API keys, credentials, cookies,
 * authorization headers and private keys, in any spelling (`apiKey`, `API_KEY`, `x-api-key`).
 *
 * @category constants
 * @since 0.1.0
 */
export const secretKey: RegExp =
  /pass(?:word|wd|phrase|code)|secret|token(?!ize)|api[-_.]?key|access[-_.]?key|private[-_.]?key|credential|authorization|cookie|bearer/i

/**
 * Masks secrets in `arguments`, at any depth, in the fields of a host's catalogue and in labels: the values under keys
 * that match `keys`, and what `patterns` match inside texts of the data.
 *
 * Recorders do this without being told; give it to them in `transforms` to mask more, for example by `patterns`.
 *
 * **Example**
 *
 * ```ts
 * import * as Transform from "@tidings/core/Transform"
 * import assert from "node:assert/strict"
 *
 * const masked = Transform.redact({ patterns: [/Bearer \S+/g] }).apply({
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
  readonly patterns?: ReadonlyArray<RegExp> | undefined
}): Transform => {
  const keys = options?.keys ?? secretKey
  const patterns = options?.patterns ?? []
  const isSecret = remember((key) => {
    keys.lastIndex = 0
    return keys.test(key)
  })

  const maskText = (text: string): string => {
    let masked = text
    for (const pattern of patterns) masked = masked.replace(pattern, REDACTED)
    return masked
  }
  // Answers the value itself where nothing in it is masked, so that the usual event costs no copy.
  const mask = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return patterns.length === 0 ? value : maskText(value)
    if (typeof value !== "object" || value === null || depth > MAXIMUM_DEPTH) return value
    if (Array.isArray(value)) {
      let copy: Array<unknown> | undefined
      for (let index = 0; index < value.length; index++) {
        const masked = mask(value[index], depth + 1)
        if (masked !== value[index]) (copy ??= [...(value as Array<unknown>)])[index] = masked
      }
      return copy ?? value
    }
    return maskRecord(value as Readonly<Record<string, unknown>>, depth)
  }
  const maskRecord = (record: Readonly<Record<string, unknown>>, depth: number): Readonly<Record<string, unknown>> => {
    let copy: Record<string, unknown> | undefined
    for (const key in record) {
      const value = record[key]
      if (value === undefined) continue
      const masked = isSecret(key) ? (value === null || value === "" ? value : REDACTED) : mask(value, depth + 1)
      if (masked !== value) (copy ??= { ...record })[key] = masked
    }
    return copy ?? record
  }
  const maskLabels = (labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
    let copy: Record<string, string> | undefined
    for (const key in labels) if (isSecret(key)) (copy ??= { ...labels })[key] = REDACTED_LABEL
    return copy ?? labels
  }

  return make("redact", (draft) => {
    const data = draft.data === undefined ? undefined : maskRecord(draft.data, 0)
    const labels = draft.labels === undefined ? undefined : maskLabels(draft.labels)
    if (data === draft.data && labels === draft.labels) return draft
    return { ...draft, data, labels }
  })
}

// Acceptance refuses what nests deeper; masking only must not overflow the stack before that.
const MAXIMUM_DEPTH = 64
