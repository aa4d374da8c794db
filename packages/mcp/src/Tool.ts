/**
 * Tools as hosts of the Model Context Protocol know them, in plain types: what a tool is, and what a call of it answers.
 *
 * The shapes are those of `tools/list` and `tools/call`, so a host hands them on as they are.
 *
 * @since 0.2.0
 */

/**
 * A JSON Schema, as a plain object.
 *
 * @category models
 * @since 0.2.0
 */
export type JsonSchema = { readonly [key: string]: unknown }

/**
 * What a host may assume about calls of a tool.
 *
 * @category models
 * @since 0.2.0
 */
export interface Annotations {
  readonly title: string
  /** It changes nothing. */
  readonly readOnlyHint: boolean
  /** It may change or remove what is there. */
  readonly destructiveHint: boolean
  /** The same call once more changes nothing further. */
  readonly idempotentHint: boolean
  /** It reaches beyond the store of events. */
  readonly openWorldHint: boolean
}

/**
 * A tool as `tools/list` describes it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Definition {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly inputSchema: JsonSchema & { readonly type: "object" }
  readonly outputSchema: JsonSchema & { readonly type: "object" }
  readonly annotations: Annotations
}

/**
 * What a call of a tool answers, as `tools/call` has it: a text for models, and the same as data. A call that went wrong has
 * `isError` and a text that says what to do.
 *
 * @category models
 * @since 0.2.0
 */
export interface ToolResult {
  readonly content: ReadonlyArray<{ readonly type: "text"; readonly text: string }>
  /** Follows the tool's output schema. Absent where the call went wrong. */
  readonly structuredContent?: { readonly [key: string]: unknown }
  readonly isError?: true
}
