/**
 * A test of texts that repeat from event to event, with a bounded memory of its answers: a look-up costs a fraction of a
 * pattern.
 *
 * @internal
 */
export const remember = (test: (text: string) => boolean): ((text: string) => boolean) => {
  const answers = new Map<string, boolean>()
  return (text) => {
    const known = answers.get(text)
    if (known !== undefined) return known
    const answer = test(text)
    if (answers.size >= 1_024) answers.clear()
    answers.set(text, answer)
    return answer
  }
}
