import { isFull } from "../diskError.ts"

/**
 * Calls `use`, and where the disk is full removes one file after the other, in order, until it succeeds.
 *
 * Limits and what they remove are noted in `.meta.json`, which is written as a new file. Without this, a log that has filled its disk
 * could not be made smaller.
 *
 * @internal
 */
export const makingRoom = <A>(files: Iterable<string>, remove: (file: string) => void, use: () => A): A => {
  for (const file of files) {
    try {
      return use()
    } catch (cause) {
      if (!isFull(cause)) throw cause
    }
    remove(file)
  }
  return use()
}
