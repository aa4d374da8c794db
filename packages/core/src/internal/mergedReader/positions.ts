/**
 * One position for each of several readers, as a text. With keys they are found in whatever order the readers are given;
 * without, the order tells.
 */
import * as Result from "effect/Result"
import { BackendError, CursorMismatch } from "../../BackendError.ts"
import * as json from "../json.ts"

/** A cursor or a page token of one reader; `null` is the beginning. It is checked by that reader. */
export type Position<A extends string> = A | null

/** @internal */
export interface Keyed {
  readonly key?: string | undefined
}

const malformed = new BackendError({
  reason: new CursorMismatch({ detail: "it does not hold a position in each of the stores; start over" })
})

/** The key of each reader, where each has one of its own. */
const keysOf = (readers: ReadonlyArray<Keyed>): ReadonlyArray<string> | undefined => {
  const keys = readers.flatMap(({ key }) => (key === undefined ? [] : [key]))
  return new Set(keys).size === readers.length ? keys : undefined
}

const isPosition = (value: unknown): value is Position<string> => value === null || typeof value === "string"

const isPair = (value: unknown): value is readonly [string, Position<string>] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && isPosition(value[1])

/** @internal */
export const toJson = (readers: ReadonlyArray<Keyed>, positions: ReadonlyArray<Position<string>>): unknown => {
  const keys = keysOf(readers)
  return keys === undefined ? positions : positions.map((position, index) => [keys[index], position])
}

/** @internal */
export const fromJson = <A extends string>(
  readers: ReadonlyArray<Keyed>,
  value: unknown
): Result.Result<ReadonlyArray<Position<A>>, BackendError> => {
  if (!Array.isArray(value) || value.length !== readers.length) return Result.fail(malformed)
  // In order, also where the readers have keys: the first format of cursors has none.
  if (value.every(isPosition)) return Result.succeed(value as ReadonlyArray<Position<A>>)
  const keys = keysOf(readers)
  if (keys === undefined || !value.every(isPair)) return Result.fail(malformed)
  const byKey = new Map(value)
  return keys.every((key) => byKey.has(key))
    ? Result.succeed(keys.map((key) => byKey.get(key) as Position<A>))
    : Result.fail(malformed)
}

/** @internal */
export const parse = <A>(
  text: string,
  read: (value: unknown) => Result.Result<A, BackendError> | undefined
): Result.Result<A, BackendError> => read(json.parse(text)) ?? Result.fail(malformed)
