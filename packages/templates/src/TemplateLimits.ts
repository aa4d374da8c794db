/**
 * Limits for the size of a message template, and of one string of data in a message.
 *
 * **When to use**
 *
 * The defaults are far above any useful message (the longest built-in one has about 150 characters), and limit the cost of
 * refusing, keeping and rendering a template of a user. Replace one where a program generates templates.
 *
 * @since 0.1.0
 */

/**
 * The limits of one template. "Characters" are UTF-16 code units, as `String.length` counts them.
 *
 * **Details**
 *
 * Every limit has a maximum (`ceilings`), which replaces larger numbers and `Infinity`. The default replaces what is not a
 * number of at least 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface TemplateLimits {
  /** Length of the template in characters. */
  readonly length: number
  /** Number of texts, printed values and ifs, including those in branches. */
  readonly parts: number
  /** Depth of nested ifs. Rendering recurses once for each. */
  readonly ifDepth: number
  /** Number of `{{else if}}` of one if. */
  readonly elseIfs: number
  /** Depth of nested parentheses in one action. */
  readonly expressionDepth: number
  /** Number of arguments of one function. */
  readonly arguments: number
  /** Number of issues in one `TemplateError`; reading stops after the last. */
  readonly issues: number
  /** Number of characters that are printed of one string or one list in the data; a longer one is cut and ends in `…`. */
  readonly text: number
}

/**
 * The limits to replace.
 *
 * @category models
 * @since 0.1.0
 */
export type Overrides = { readonly [L in keyof TemplateLimits]?: number | undefined }

/**
 * The limits of a template that sets none.
 *
 * **Details**
 *
 * With 4,096 characters, and 2,048 per printed string, a message has at most half a megabyte before it is cut to the limit
 * of a backend. Sixteen levels of ifs and eight of parentheses are more than a reader can follow.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: TemplateLimits = Object.freeze({
  length: 4096,
  parts: 256,
  ifDepth: 16,
  elseIfs: 32,
  expressionDepth: 8,
  arguments: 16,
  issues: 20,
  text: 2048
})

/**
 * The maximum of each limit: of depths, so that recursion does not overflow any stack; of sizes, so that a message stays far
 * below the maximum length of a string.
 *
 * @category constants
 * @since 0.1.0
 */
export const ceilings: TemplateLimits = Object.freeze({
  length: 1_048_576,
  parts: 65_536,
  ifDepth: 1024,
  elseIfs: 1024,
  expressionDepth: 256,
  arguments: 1024,
  issues: 1000,
  text: 65_536
})

/**
 * The defaults with some limits replaced, each by at most its maximum.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (overrides?: Overrides): TemplateLimits => {
  if (overrides === undefined) return defaults
  const limit = (name: keyof TemplateLimits): number => {
    const value = overrides[name]
    return value !== undefined && value >= 1 ? Math.min(Math.floor(value), ceilings[name]) : defaults[name]
  }
  return {
    length: limit("length"),
    parts: limit("parts"),
    ifDepth: limit("ifDepth"),
    elseIfs: limit("elseIfs"),
    expressionDepth: limit("expressionDepth"),
    arguments: limit("arguments"),
    issues: limit("issues"),
    text: limit("text")
  }
}
