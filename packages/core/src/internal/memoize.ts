import { BoundedCache } from "../BoundedCache.ts"

const MAXIMUM_ANSWERS = 1_024
const MAXIMUM_LENGTH = 256

/**
 * A test of texts with a bounded cache of its results, for texts that are repeated from event to event: a look-up costs a
 * fraction of a regular expression. Long texts are not cached, so that the size of the cache is bounded in bytes too.
 *
 * @internal
 */
export const memoize = (test: (text: string) => boolean): ((text: string) => boolean) => {
  const answers = new BoundedCache<string, boolean>(MAXIMUM_ANSWERS)
  return (text) => {
    const known = answers.get(text)
    if (known !== undefined) return known
    const answer = test(text)
    if (text.length > MAXIMUM_LENGTH) return answer
    answers.set(text, answer)
    return answer
  }
}
