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

/**
 * The constructor that assigns the fields so.
 *
 * @internal
 */
export const make = <Values extends ReadonlyArray<unknown>, A>(
  assign: (this: { -readonly [K in keyof A]: A[K] }, ...values: Values) => void
): PlainObject<Values, A> => {
  assign.prototype = Object.prototype
  return assign as unknown as PlainObject<Values, A>
}
