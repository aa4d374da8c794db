/**
 * A constructor whose objects are like those of braces: they have no other prototype.
 *
 * Objects of braces V8 allocates among the old objects once many from the same place in the code were kept for a while, as the events
 * of a page are. There they, and all texts that they hold, are freed late: a reader of pages took 350 MB, and half as much processor
 * time again. Those of a constructor it allocates among the new ones always.
 *
 * @internal
 */
export type PlainObject<Values extends ReadonlyArray<unknown>, A> = new (...values: Values) => A

const isConstructor = <Values extends ReadonlyArray<unknown>, A>(value: unknown): value is PlainObject<Values, A> =>
  typeof value === "function" && value.prototype === Object.prototype

/**
 * The constructor that assigns the fields so.
 *
 * @internal
 */
export const make = <Values extends ReadonlyArray<unknown>, A>(
  assign: (this: { -readonly [K in keyof A]: A[K] }, ...values: Values) => void
): PlainObject<Values, A> => {
  assign.prototype = Object.prototype
  if (isConstructor<Values, A>(assign)) return assign
  throw new TypeError("expected a function that `new` can be used with")
}
