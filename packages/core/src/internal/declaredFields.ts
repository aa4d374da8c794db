/**
 * Validates the data that a catalogue declares for a kind, and converts durations to their stored form.
 *
 * Only the fields of the host and lists of allowed values are checked here; acceptance checks the built-in fields.
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
  /** The value to store; `undefined` when the value is not of the declared type. */
  readonly read: (value: unknown) => unknown
}

/**
 * The result: the data to continue with, which is the object of the caller unless something in it had to be converted, and
 * what is wrong with it.
 *
 * @internal
 */
export interface Reading {
  readonly data: EventData.EventDataInput | undefined
  readonly issues: ReadonlyArray<Issue> | undefined
}

/**
 * Makes the function that reads the data of one kind; `undefined` where the kind declares nothing that is checked here.
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
