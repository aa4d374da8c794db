import { isFull } from "../diskError.ts"

/**
 * Does what a full disk prevents, and removes files that may go until it can be done: none where there is room, in the order that is
 * given, and no more than it takes.
 *
 * Limits and what they remove are noted in `.meta.json`, which is written anew. Without this a log that has filled its disk could
 * neither be told to keep less nor be made smaller.
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
