/**
 * Reads the data that a catalogue declares for a kind: each field is what it was declared as, or an issue says so.
 *
 * Acceptance knows the built-in fields; a host's own, and choices, nobody else knows.
 *
 * @internal
 */
import * as GoDuration from "@tidings/templates/GoDuration"
import type { Field, Fields } from "../Catalogue.ts"
import * as EventData from "../EventData.ts"
import type { Issue } from "../InvalidEvent.ts"
import * as acceptance from "./acceptance.ts"
import * as text from "./text.ts"

interface Check {
  readonly field: string
  readonly expected: string
  /** What travels, `undefined` when the value is not what was declared. */
  readonly read: (value: unknown) => unknown
}

/**
 * What came of reading: the data to go on with, which is the caller's own object unless something in it had to be
 * converted, or what is wrong with it.
 *
 * @internal
 */
export interface Reading {
  readonly data: EventData.EventDataInput | undefined
  readonly issues: ReadonlyArray<Issue> | undefined
}

/**
 * Makes the function that reads the data of one kind; none where the kind declares nothing that acceptance does not know.
 *
 * @internal
 */
export const reader = (
  fields: Fields | undefined
): ((data: EventData.EventDataInput | undefined) => Reading) | undefined => {
  const checks = Object.entries(fields ?? {}).flatMap(([field, type]) => checkOf(field, type) ?? [])
  if (checks.length === 0) return undefined
  return (data) => {
    if (typeof data !== "object" || data === null) return { data, issues: undefined }
    let issues: Array<Issue> | undefined
    let copy: { [field: string]: unknown } | undefined
    for (const { expected, field, read } of checks) {
      const value = Object.hasOwn(data, field) ? data[field] : undefined
      if (value === undefined) continue
      const found = read(value)
      if (found === undefined) (issues ??= []).push({ field: `data.${field}`, found: text.show(value), expected })
      else if (found !== value) (copy ??= { ...data })[field] = found
    }
    return { data: copy ?? data, issues }
  }
}

const checkOf = (field: string, type: Field): Check | undefined => {
  if (typeof type !== "string") {
    const choices = type.map((choice) => text.show(choice)).join(" or ")
    return { field, expected: choices, read: onlyIf((value) => typeof value === "string" && type.includes(value)) }
  }
  return Object.hasOwn(EventData.fields, field) ? undefined : { field, ...checks[type] }
}

const onlyIf =
  (holds: (value: unknown) => boolean) =>
  (value: unknown): unknown =>
    holds(value) ? value : undefined

const checks: { readonly [T in Extract<Field, string>]: Omit<Check, "field"> } = {
  text: { expected: "a text", read: onlyIf((value) => typeof value === "string") },
  count: { expected: "a whole number", read: onlyIf((value) => Number.isSafeInteger(value)) },
  flag: { expected: "true or false", read: onlyIf((value) => typeof value === "boolean") },
  list: { expected: "a list of texts", read: onlyIf(acceptance.isTexts) },
  duration: {
    expected: acceptance.EXPECTED_DURATION,
    read: (value) => {
      const nanoseconds = acceptance.readDuration(value)
      return nanoseconds === undefined ? undefined : GoDuration.format(nanoseconds)
    }
  }
}
