/**
 * Suggestions for misspelt words: the known word that is nearest to an unknown one.
 *
 * **When to use**
 *
 * Use it for every "did you mean …?": template fields, reasons of a catalogue, kinds, options of the command.
 *
 * @since 0.1.0
 */

/**
 * Longer words get no suggestion, because a comparison takes time in proportion to the product of both lengths.
 *
 * @category constants
 * @since 0.1.0
 */
export const longestWord = 64

/**
 * The number of edits from one text to the other: insert, delete or replace a character, or swap two neighbours (the
 * Damerau-Levenshtein distance in its restricted form, where no character is edited twice).
 *
 * Counts UTF-16 code units. Takes time and memory in proportion to the product of both lengths.
 *
 * **Example** (Counting edits)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import { Suggestion } from "@tidings/templates"
 *
 * assert.equal(Suggestion.distance("Eror", "Error"), 1)
 * assert.equal(Suggestion.distance("Nmae", "Name"), 1)
 * ```
 *
 * @category measuring
 * @since 0.1.0
 */
export const distance = (left: string, right: string): number => {
  let beforePrevious: Array<number> = []
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      let best = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1)
      )
      if (row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]) {
        best = Math.min(best, (beforePrevious[column - 2] ?? 0) + 1)
      }
      current.push(best)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[right.length] ?? 0
}

/**
 * The candidate that `word` is most likely meant to be, or `undefined` where none is near enough.
 *
 * **Details**
 *
 * Upper and lower case never matter. In this order: the same word; a candidate that begins with the word, or with which
 * the word begins (of two characters at least; the one that shares most, then the one nearest in length); a candidate at
 * an edit distance of at most a third of the word's length, and of at most two in any case, but always less than the
 * word's own length. Of equally near candidates the first one is returned.
 *
 * **Example** (Finding the nearest word)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import { Suggestion } from "@tidings/templates"
 *
 * const fields = ["Name", "StepID", "StepTool", "Error"]
 * assert.equal(Suggestion.nearest("stepid", fields), "StepID")
 * assert.equal(Suggestion.nearest("Eror", fields), "Error")
 * assert.equal(Suggestion.nearest("Customer", fields), undefined)
 * ```
 *
 * @category searching
 * @since 0.1.0
 */
export const nearest = <C extends string>(word: string, candidates: Iterable<C>): C | undefined => {
  if (word.length === 0 || word.length > longestWord) return undefined
  const wanted = word.toLowerCase()
  const furthest = Math.min(wanted.length - 1, Math.max(2, Math.floor(wanted.length / 3)))
  let prefixed: C | undefined
  let shared = 1
  let prefixedBy = Number.POSITIVE_INFINITY
  let near: C | undefined
  let nearBy = furthest + 1
  for (const candidate of candidates) {
    const known = candidate.toLowerCase()
    if (known === wanted) return candidate
    const longer = Math.abs(known.length - wanted.length)
    if (known.startsWith(wanted) || wanted.startsWith(known)) {
      const common = Math.min(known.length, wanted.length)
      if (common > shared || (common === shared && longer < prefixedBy && prefixed !== undefined)) {
        prefixed = candidate
        shared = common
        prefixedBy = longer
      }
    }
    // The difference in length is a lower bound of the distance.
    if (longer < nearBy) {
      const edits = distance(wanted, known)
      if (edits < nearBy) {
        near = candidate
        nearBy = edits
      }
    }
  }
  return prefixed ?? near
}
