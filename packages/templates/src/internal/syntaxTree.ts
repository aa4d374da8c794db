/**
 * The types of the syntax tree, which `TemplateSyntax` exports. They are in a module of their own because `TemplateSyntax`
 * imports the parser, which needs them too.
 *
 * @internal
 */

/**
 * A range of the source, in UTF-16 code units from 0.
 *
 * @category models
 * @since 0.1.0
 */
export interface Span {
  readonly offset: number
  readonly length: number
}

/**
 * `.Name`, or `.Arguments.key`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field extends Span {
  readonly _tag: "Field"
  readonly path: readonly [string, ...ReadonlyArray<string>]
}

/**
 * A text, a whole number, `true` or `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Literal extends Span {
  readonly _tag: "Literal"
  readonly value: string | number | boolean
}

/**
 * A function with its arguments. Its name is any word, because the syntax does not depend on which functions exist.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call extends Span {
  readonly _tag: "Call"
  readonly name: string
  readonly arguments: ReadonlyArray<Expression>
}

/**
 * What an action prints, or an if tests. Parentheses are not part of the tree.
 *
 * @category models
 * @since 0.1.0
 */
export type Expression = Field | Literal | Call

/**
 * Text outside of actions, after trimming. Never empty, and never next to another text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Text {
  readonly _tag: "Text"
  readonly text: string
}

/**
 * An action that prints a value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Print {
  readonly _tag: "Print"
  readonly expression: Expression
}

/**
 * An `if` or `else if` with what follows it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Branch {
  readonly condition: Expression
  readonly parts: ReadonlyArray<Part>
}

/**
 * An if: its first branch and one for each `else if`. `otherwise` is there when there is an `{{else}}`, also an empty one.
 *
 * @category models
 * @since 0.1.0
 */
export interface If {
  readonly _tag: "If"
  readonly branches: ReadonlyArray<Branch>
  readonly otherwise?: ReadonlyArray<Part> | undefined
}

/**
 * A part of a template.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = Text | Print | If
