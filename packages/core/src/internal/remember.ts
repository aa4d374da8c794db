const MAXIMUM_ANSWERS = 1_024
const MAXIMUM_LENGTH = 256

/**
 * A test of texts that repeat from event to event, with a bounded memory of its answers: a look-up costs a fraction of a
 * pattern. Long texts are tested each time, so that the memory is bounded in bytes too.
 *
 * @internal
 */
export const remember = (test: (text: string) => boolean): ((text: string) => boolean) => {
  const answers = new Map<string, boolean>()
  return (text) => {
    const known = answers.get(text)
    if (known !== undefined) return known
    const answer = test(text)
    if (text.length > MAXIMUM_LENGTH) return answer
    if (answers.size >= MAXIMUM_ANSWERS) answers.clear()
    answers.set(text, answer)
    return answer
  }
}
