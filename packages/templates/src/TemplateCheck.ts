/**
 * Checks templates that are literals at compile time: misspelt fields, unbalanced ifs, unknown words. Types only.
 *
 * **When to use**
 *
 * Use `Check` for a parameter that is a template, so that a wrong literal does not compile. Use `Analyse` where the fields
 * that a template prints determine what a call must give.
 *
 * **Details**
 *
 * A recursive type goes from action to action, with a stack of letters for the open ifs (`i` before, `e` after the else).
 * It only checks single words; the number and types of arguments, numbers, escapes in texts, and braces in texts and
 * comments are left to `MessageTemplate.compile`, which checks everything again. There are no false positives: it accepts
 * every template that `compile` accepts.
 *
 * **Gotchas**
 *
 * - A `string` that is not a literal is not checked.
 * - TypeScript fails with TS2589 for messages with several hundred actions, which is far more than `compile` accepts by
 *   default.
 *
 * @since 0.1.0
 */

/**
 * The type of a wrong template, with a message. No string can be assigned to it, so the compiler shows the message in its
 * error. It is an object type, because an intersection with a literal would become `never` and hide the message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mistake<M extends string> {
  readonly mistake: M
}

/**
 * The fields that a template may name: a property for each, from its name in the template to its data key (`never` where the
 * value is not given by calls, as for the name of the object that an event is about).
 *
 * @category models
 * @since 0.1.0
 */
export type Names = object

/**
 * The name of a data key in templates: `podCount` is `.PodCount`, `stepId` is `.StepID`.
 *
 * @category naming
 * @since 0.1.0
 */
// Distributed over the keys (`K extends K`): for `never` the result would otherwise be every text that ends in ID.
export type TemplateName<K extends string> = K extends K
  ? Capitalize<K> extends `${infer Start}Id`
    ? `${Start}ID`
    : Capitalize<K>
  : never

// ---- texts ----------------------------------------------------------------------------------------------------------

type Space = " " | "\t" | "\n" | "\r"
type TrimStart<S extends string> = S extends `${Space}${infer Rest}` ? TrimStart<Rest> : S
type TrimEnd<S extends string> = S extends `${infer Rest}${Space}` ? TrimEnd<Rest> : S
type WithoutMarkerBefore<S extends string> = S extends `-${Space}${infer Rest}` ? Rest : S
type WithoutMarkerAfter<S extends string> = S extends `${infer Rest}${Space}-` ? Rest : S
/** The inside of an action, without trim markers and the white space around it. */
type Content<S extends string> = TrimEnd<TrimStart<WithoutMarkerAfter<WithoutMarkerBefore<S>>>>

type Quote = '"' | "`"
type HasQuote<S extends string> = S extends `${string}${Quote}${string}` ? true : false
type HasOddQuotes<S extends string, Q extends Quote> = S extends `${string}${Q}${infer Rest}`
  ? Rest extends `${string}${Q}${infer Further}`
    ? HasOddQuotes<Further, Q>
    : true
  : false
/** Whether the first `}}` may be a part of a text, so that the action ends later. */
type MayGoOn<S extends string> =
  HasQuote<S> extends true ? (true extends HasOddQuotes<S, '"'> | HasOddQuotes<S, "`"> ? true : false) : false

/** An expression with 0 in the place of each text. From the first text on whose end is not clear, everything is left out. */
type WithoutTexts<S extends string> = S extends `${infer Before}"${infer Rest}`
  ? Before extends `${infer Sure}\`${string}`
    ? Sure
    : Rest extends `${infer Text}"${infer After}`
      ? Text extends `${string}\\`
        ? Before
        : WithoutTexts<`${Before}0${After}`>
      : Before
  : S extends `${infer Before}\`${infer Rest}`
    ? Rest extends `${string}\`${infer After}`
      ? WithoutTexts<`${Before}0${After}`>
      : Before
    : S

/** Splits at one separator. With a union of separators in one pattern, the compiler would infer a union of heads. */
type Flat<S extends string> = S extends `${infer Before}(${infer After}`
  ? Flat<`${Before} ${After}`>
  : S extends `${infer Before})${infer After}`
    ? Flat<`${Before} ${After}`>
    : S extends `${infer Before}\n${infer After}`
      ? Flat<`${Before} ${After}`>
      : S extends `${infer Before}\t${infer After}`
        ? Flat<`${Before} ${After}`>
        : S extends `${infer Before}\r${infer After}`
          ? Flat<`${Before} ${After}`>
          : S

// ---- hints: computed only for mistakes ------------------------------------------------------------------------------

/** The text without one character, for each of its characters. */
type WithoutOne<S extends string, Before extends string = ""> = S extends `${infer Head}${infer Rest}`
  ? `${Before}${Rest}` | WithoutOne<Rest, `${Before}${Head}`>
  : never
type WithoutLast<S extends string> = S extends `${infer Head}${infer Rest}`
  ? Rest extends ""
    ? ""
    : `${Head}${WithoutLast<Rest>}`
  : ""

type SameAs<X extends string, F extends string> = F extends F ? (Lowercase<F> extends X ? F : never) : never
/** At most one edit away: both are equal when at most one character is left out of each. */
type NearTo<X extends string, F extends string> = F extends F
  ? [(WithoutOne<Lowercase<F>> | Lowercase<F>) & (WithoutOne<X> | X)] extends [never]
    ? never
    : F
  : never
type StartingWith<P extends string, F extends string> = F extends F
  ? Lowercase<F> extends `${P}${string}`
    ? F
    : never
  : never
/** The candidates with the longest common beginning of at least three characters. */
type Alike<X extends string, F extends string> = X extends `${infer _A}${infer _B}${infer _C}${string}`
  ? StartingWith<X, F> extends infer Found
    ? [Found] extends [never]
      ? Alike<WithoutLast<X>, F>
      : Found
    : never
  : never

/** One member of a union. */
type One<U> = (U extends U ? (_: () => U) => void : never) extends (_: infer I) => void
  ? I extends () => infer Last
    ? Last
    : never
  : never

/**
 * The member of `F` that the word `X` (in lower case) is most likely meant to be, or `never`: one that differs only in
 * capitals, else one that is one edit away, else the one with the longest common beginning.
 *
 * @category searching
 * @since 0.1.0
 */
export type Nearest<X extends string, F extends string> =
  SameAs<X, F> extends infer Same
    ? [Same] extends [never]
      ? NearTo<X, F> extends infer Near
        ? [Near] extends [never]
          ? One<Alike<X, F>>
          : One<Near>
        : never
      : One<Same>
    : never

type Hint<Found, Dot extends string = ""> = [Found] extends [never]
  ? ""
  : Found extends string
    ? ` - did you mean ${Dot}${Found}?`
    : ""

// ---- words ----------------------------------------------------------------------------------------------------------

type Function = "and" | "or" | "not" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "len"
type Keyword = "if" | "else" | "end"
type Unsupported =
  | "range"
  | "with"
  | "block"
  | "define"
  | "template"
  | "break"
  | "continue"
  | "nil"
  | "printf"
  | "print"
  | "println"
  | "html"
  | "js"
  | "urlquery"
  | "index"
  | "slice"
  | "call"
interface Operators {
  readonly "&&": "and"
  readonly "||": "or"
  readonly "!": "not"
  readonly "==": "eq"
  readonly "=": "eq"
  readonly "!=": "ne"
  readonly "<": "lt"
  readonly "<=": "le"
  readonly ">": "gt"
  readonly ">=": "ge"
}

type FieldName<M> = keyof M & string

type UnknownField<X extends string, M> = X extends ""
  ? "a bare dot is not supported"
  : X extends "Arguments"
    ? "name a key: .Arguments.key"
    : X extends `${infer Name extends FieldName<M>}.${string}`
      ? `.${Name} has no fields inside`
      : `unknown field .${X}${Hint<Nearest<Lowercase<X>, FieldName<M>>, ".">}`

/** `""` for a valid word, else what is wrong with it. */
type WordMistake<W extends string, M> = W extends "" | Function | "true" | "false" | `${number}`
  ? ""
  : W extends `.Arguments.${infer Key}`
    ? Key extends `${string}.${string}`
      ? `.Arguments.${Key} names more than one key`
      : ""
    : W extends `.${infer X}`
      ? X extends FieldName<M>
        ? ""
        : UnknownField<X, M>
      : W extends Keyword
        ? `${W} can only begin an action`
        : W extends Unsupported
          ? `${W} is not supported`
          : W extends keyof Operators
            ? `"${W}" is not supported - use ${Operators[W]}`
            : W extends "|"
              ? "pipes (|) are not supported"
              : W extends `$${string}`
                ? "variables ($) are not supported"
                : `unknown word "${W}"${Hint<Nearest<Lowercase<W>, `.${FieldName<M>}` | Function | Keyword>>}`

/** `""` when every word is valid, else what is wrong with the first that is not. */
type WordsMistake<S extends string, M> = S extends `${infer Word} ${infer Rest}`
  ? WordMistake<Word, M> extends infer Wrong extends string
    ? Wrong extends ""
      ? WordsMistake<Rest, M>
      : Wrong
    : never
  : WordMistake<S, M>
type ExpressionMistake<S extends string, M> = WordsMistake<Flat<WithoutTexts<S>>, M>
/** A short cut for the usual condition, which is one field. */
type ConditionMistake<S extends string, M> = S extends `.${FieldName<M>}` ? "" : ExpressionMistake<S, M>

// ---- the walk -------------------------------------------------------------------------------------------------------

/** The data keys that are printed outside every if, or a mistake. Tail-recursive, so the compiler does not nest it. */
type Walk<T extends string, M, Open extends string, Printed> = T extends `${string}{{${infer Inside}}}${infer Rest}`
  ? OnAction<Content<Inside>, Inside, Rest, M, Open, Printed>
  : T extends `${string}{{${infer Inside}`
    ? Inside extends `${string}${Quote}${string}` | `${"" | `-${Space}`}/*${string}`
      ? Printed
      : Mistake<"a {{ has no }}">
    : Open extends ""
      ? Printed
      : Mistake<"an {{if}} is never closed - add {{end}}">

type OnAction<
  C extends string,
  Inside extends string,
  Rest extends string,
  M,
  Open extends string,
  Printed
> = C extends `.${infer X extends FieldName<M>}`
  ? Walk<Rest, M, Open, Open extends "" ? Printed | M[X] : Printed>
  : C extends "end"
    ? Open extends `${"i" | "e"}${infer Outer}`
      ? Walk<Rest, M, Outer, Printed>
      : Mistake<"this {{end}} belongs to no {{if}}">
    : C extends `/*${infer Comment}`
      ? Comment extends `${string}*/`
        ? Walk<Rest, M, Open, Printed>
        : Printed
      : MayGoOn<Inside> extends true
        ? Printed
        : OnOther<C, Rest, M, Open, Printed>

type OnOther<
  C extends string,
  Rest extends string,
  M,
  Open extends string,
  Printed
> = C extends `if${Space}${infer Test}`
  ? GoOn<ConditionMistake<TrimStart<Test>, M>, Rest, M, `i${Open}`, Printed>
  : C extends "else"
    ? Open extends `i${infer Outer}`
      ? Walk<Rest, M, `e${Outer}`, Printed>
      : ElseMistake<Open>
    : C extends `else${Space}${infer More}`
      ? OnElseIf<TrimStart<More>, Rest, M, Open, Printed>
      : C extends ""
        ? Mistake<"an action {{}} is empty">
        : C extends "if"
          ? Mistake<"if needs a value">
          : C extends `${string}{{${string}`
            ? HasQuote<C> extends true
              ? Walk<Rest, M, Open, Printed>
              : Mistake<"a {{ has no }} before the next {{">
            : GoOn<ExpressionMistake<C, M>, Rest, M, Open, Printed>

type OnElseIf<
  More extends string,
  Rest extends string,
  M,
  Open extends string,
  Printed
> = More extends `if${Space}${infer Test}`
  ? Open extends `i${string}`
    ? GoOn<ConditionMistake<TrimStart<Test>, M>, Rest, M, Open, Printed>
    : ElseMistake<Open>
  : More extends "if"
    ? Mistake<"else if needs a value">
    : Mistake<'only "else" or "else if" is possible here'>

type ElseMistake<Open extends string> = Open extends `e${string}`
  ? Mistake<"this {{if}} already has an {{else}}">
  : Mistake<"this {{else}} belongs to no {{if}}">

type GoOn<Wrong extends string, Rest extends string, M, Open extends string, Printed> = Wrong extends ""
  ? Walk<Rest, M, Open, Printed>
  : Mistake<Wrong>

/**
 * The data keys that the template `T` prints outside every if, or a `Mistake`. Of a union, those of each member. `never`
 * for a `string` that is not a literal.
 *
 * **Example** (What a message prints, and what is wrong with it)
 *
 * ```ts
 * import type { TemplateCheck } from "@tidings/templates"
 *
 * interface Names {
 *   readonly Name: never
 *   readonly PodCount: "podCount"
 *   readonly Took: "took"
 * }
 * type Needed = TemplateCheck.Analyse<"{{.Name}}: {{.PodCount}}{{if .Took}} in {{.Took}}{{end}}", Names>
 * const needed: Needed = "podCount"
 *
 * type Wrong = TemplateCheck.Analyse<"{{.PodCnt}}", Names>
 * const wrong: Wrong = { mistake: "unknown field .PodCnt - did you mean .PodCount?" }
 * console.log(needed, wrong)
 * ```
 *
 * @category checking
 * @since 0.1.0
 */
export type Analyse<T extends string, M> = string extends T ? never : T extends T ? Walk<T, M, "", never> : never

/**
 * `unknown` for a valid template, else its `Mistake`: intersected with the type of a parameter, it refuses wrong literals.
 *
 * **Example** (A parameter that accepts only valid templates)
 *
 * ```ts
 * import type { TemplateCheck } from "@tidings/templates"
 *
 * interface Names {
 *   readonly Name: never
 *   readonly Error: "error"
 * }
 * const message = <const T extends string>(template: T & TemplateCheck.Check<T, Names>): string => template
 *
 * message("{{.Name}} failed{{if .Error}}: {{.Error}}{{end}}")
 * // @ts-expect-error unknown field .Eror - did you mean .Error?
 * message("{{.Name}} failed: {{.Eror}}")
 * ```
 *
 * @category checking
 * @since 0.1.0
 */
export type Check<T extends string, M> =
  Extract<Analyse<T, M>, Mistake<string>> extends infer Wrong ? ([Wrong] extends [never] ? unknown : Wrong) : never

// ---- completions: computed only for mistakes ------------------------------------------------------------------------

type BeginningWith<X extends string, F extends string> = F extends F
  ? Lowercase<F> extends `${Lowercase<X>}${string}`
    ? F
    : never
  : never

/** The beginning of a text up to a space or a closing parenthesis, and the rest. */
type WordAndRest<S extends string> = S extends `${infer Word} ${infer Rest}`
  ? Word extends `${infer Shorter})${infer Further}`
    ? [Shorter, `)${Further} ${Rest}`]
    : [Word, ` ${Rest}`]
  : S extends `${infer Word})${infer Rest}`
    ? [Word, `)${Rest}`]
    : [S, ""]

/** The inside of an action with every completion of its first unfinished field; `Close` follows the field. */
type Finished<
  Inside extends string,
  M,
  Close extends string,
  Before extends string = ""
> = Inside extends `${infer Lead}.${infer After}`
  ? WordAndRest<After> extends [infer Word extends string, infer Rest extends string]
    ? Word extends FieldName<M> | `Arguments.${string}`
      ? Finished<Rest, M, Close, `${Before}${Lead}.${Word}`>
      : `${Before}${Lead}.${BeginningWith<Word, FieldName<M>>}${Close}${Rest}`
    : never
  : never

/**
 * The completions of a template in which a field is being typed: what an editor offers in `"Order {{.¦"`, in `"Order
 * {{.Po¦}}"` and in `"Order {{if .¦}}"`. `never` where no field begins like that.
 *
 * **When to use**
 *
 * Use it in a union with the `Mistake` of a wrong template, in a parameter type that is not intersected with the template
 * itself: with the template, every other text is `never`, and an editor has nothing to offer.
 *
 * **Example** (What an editor offers)
 *
 * ```ts
 * import type { TemplateCheck } from "@tidings/templates"
 *
 * interface Names {
 *   readonly Name: never
 *   readonly PodCount: "podCount"
 * }
 * const offered: ReadonlyArray<TemplateCheck.Completions<"{{.Name}} has {{.Po", Names>> = ["{{.Name}} has {{.PodCount}}"]
 * console.log(offered)
 * ```
 *
 * @category checking
 * @since 0.2.0
 */
export type Completions<T extends string, M, Before extends string = ""> = T extends `${infer Text}{{${infer Action}`
  ? Action extends `${infer Inside}}}${infer Rest}`
    ? Inside extends `${infer Unclosed}{{${infer Next}`
      ? `${Before}${Text}{{${Finished<Unclosed, M, "}}">}{{${Next}}}${Rest}`
      : Finished<Inside, M, ""> extends infer Found extends string
        ? [Found] extends [never]
          ? Completions<Rest, M, `${Before}${Text}{{${Inside}}}`>
          : `${Before}${Text}{{${Found}}}${Rest}`
        : never
    : `${Before}${Text}{{${Finished<Action, M, "}}">}`
  : never
