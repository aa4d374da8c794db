/**
 * Collects the mistakes of one template.
 *
 * @internal
 */
import type { TemplateIssue, TemplateIssueCode } from "../TemplateError.ts"

/** A mistake before its line and column are known. */
export interface Problem {
  readonly code: TemplateIssueCode
  readonly message: string
  readonly hint?: string | undefined
  readonly offset: number
  readonly length: number
}

export class Issues {
  readonly #most: number
  readonly #problems: Array<Problem> = []

  constructor(most: number) {
    this.#most = most
  }

  get count(): number {
    return this.#problems.length
  }

  /** Whether the limit is reached, so that parsing can stop. */
  get isFull(): boolean {
    return this.#problems.length >= this.#most
  }

  add(problem: Problem): void {
    if (!this.isFull) this.#problems.push(problem)
  }

  /** The issues in the order of the source, with lines and columns, in one pass over the source. */
  located(source: string): ReadonlyArray<TemplateIssue> {
    const sorted = this.#problems.toSorted((left, right) => left.offset - right.offset)
    let at = 0
    let line = 1
    let column = 1
    return sorted.map((problem) => {
      while (at < problem.offset) {
        const point = source.codePointAt(at) ?? 0
        at += point > 0xffff ? 2 : 1
        if (point === 0x0a) {
          line += 1
          column = 1
        } else {
          column += 1
        }
      }
      return Object.freeze({ ...problem, line, column })
    })
  }
}
