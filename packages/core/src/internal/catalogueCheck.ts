/**
 * What the compiler checks in the definition and in the calls of a catalogue. Types only.
 *
 * A check is intersected with the type of what the user wrote: it is `unknown` where that is right, and a `Mistake` with a
 * message where it is wrong. So the message appears in the compiler's error at the right line.
 *
 * @internal
 */
import type { Analyse, Check, Completions, Mistake, Nearest, TemplateName } from "@tidings/templates/TemplateCheck"
import type { Kind, Kinds, MethodName, Reason } from "../Catalogue.ts"
import type * as EventData from "../EventData.ts"

// ---------------------------------------------------------------------------
// reading a definition
// ---------------------------------------------------------------------------

/** The declared fields of a kind. */
export type FieldsOf<K> = K extends { readonly fields: infer F extends object } ? F : {}

/** The reasons of a kind. */
export type ReasonsOf<K> = K extends { readonly reasons: infer Rs } ? keyof Rs & string : never

/** The reasons of all kinds. */
export type AllReasons<Ks> = { [K in keyof Ks]: ReasonsOf<Ks[K]> }[keyof Ks]

/** The kinds that reasons belong to. */
export type KindOf<Ks, R> = { [K in keyof Ks]: R extends ReasonsOf<Ks[K]> ? K : never }[keyof Ks]

/**
 * The names of a template with their data keys; `never` for what is set from the object. It depends only on the keys: equal
 * unions of texts are one type for the compiler, so each message is checked once, however often the type of a definition is
 * inferred. (An alias for `Names<keyof FieldsOf<K> & string>` would undo this, because each use of an alias is a new type.)
 */
type Names<Key extends string> = { readonly [K in Key as TemplateName<K>]: K } & {
  readonly Name: never
  readonly Namespace: never
}

/** For each reason of a kind, the fields that its message prints outside every `if`. */
export type NeedsOf<K> = K extends { readonly reasons: infer Rs } ? Needs<Rs, Names<keyof FieldsOf<K> & string>> : never
// With the intersection with {}, editors show the result instead of the name of this type.
type Needs<Rs, N> = {
  readonly [R in keyof Rs & string]: Rs[R] extends { readonly message: infer T extends string } ? Analyse<T, N> : never
} & {}

// ---------------------------------------------------------------------------
// definition
// ---------------------------------------------------------------------------

/**
 * The type of a parameter for kinds: the kinds themselves where they are right, else what is wrong with them. In a message
 * with a mistake the kinds must not be part of the type: an editor offers completions from the texts that are allowed, and
 * intersected with the current text there are none.
 */
export type CheckedKinds<Ks> = [Ks] extends [CheckKinds<Ks>] ? Ks : Kinds & CheckKinds<Ks>

/** Every check of kinds at compile time. */
export type CheckKinds<Ks> = {
  readonly [K in keyof Ks]: string extends K ? unknown : CheckKind<Ks[K], K, Exclude<keyof Ks, K>, Ks>
}

type CheckKind<D, K, Others extends keyof Ks, Ks> = D extends { readonly reasons: infer Rs }
  ? CheckMethod<K, Others> & {
      readonly reasons: CheckReasons<Rs, Names<keyof FieldsOf<D> & string>, AllReasons<Pick<Ks, Others>>>
      readonly fields?: CheckFields<FieldsOf<D>>
    } & Other<Kind> &
      NoOther<D, keyof Kind>
  : unknown

type CheckMethod<K, Others> = K extends string
  ? MethodName<K> extends "crdEvent"
    ? Mistake<`${K} would need the method crdEvent, which is taken`>
    : MethodName<K> extends MethodName<Others & string>
      ? Mistake<`${K} and another kind would share the method ${MethodName<K>}`>
      : unknown
  : unknown

type CheckReasons<Rs, N, Others> = {
  readonly [R in keyof Rs]: string extends R
    ? unknown
    : R extends Others
      ? Mistake<`the reason ${R & string} is in two kinds`> & Other<Reason>
      : Rs[R] extends { readonly message: infer T }
        ? { readonly message: T extends string ? CheckMessage<T, N> : unknown } & Other<Reason> &
            NoOther<Rs[R], keyof Reason>
        : unknown
}

/** The properties that are not checked here; the compiler would otherwise report them as unknown properties. */
type Other<T> = { readonly [P in keyof T]?: unknown }

type CheckMessage<T extends string, N> =
  Check<T, N> extends infer Wrong ? (unknown extends Wrong ? unknown : Wrong | Completions<T, N>) : never

type CheckFields<F> = {
  readonly [K in keyof F]: K extends string ? CheckField<F, K> : unknown
}

type CheckField<F, K extends keyof F & string> = string extends K
  ? unknown
  : K extends "name" | "namespace" | "arguments"
    ? Mistake<`every event has ${K}: leave it out`>
    : K extends keyof BuiltIn
      ? F[K] extends Agreeing<BuiltIn[K]>
        ? unknown
        : Mistake<`${K} is built in as "${BuiltIn[K]}"`>
      : TemplateName<K> extends TemplateName<Exclude<keyof F & string, K>>
        ? Mistake<`another field is .${TemplateName<K>} too`>
        : unknown

type BuiltIn = typeof EventData.fields

/** A catalogue may restrict a built-in text to a list of values, and change nothing else. */
type Agreeing<B> = B extends "text" ? B | ReadonlyArray<string> : B

type NoOther<T, Known> = { readonly [P in Exclude<keyof T, Known>]: Mistake<`no such option: ${P & string}`> }

// ---------------------------------------------------------------------------
// calls
// ---------------------------------------------------------------------------

/** Checks that `R` is one of `All`; `Who` is the beginning of the message. */
export type Known<R extends string, All extends string, Who extends string> = [R] extends [All]
  ? unknown
  : NoReason<Exclude<R, All>, All, Who>

type NoReason<R extends string, All extends string, Who extends string> = string extends R
  ? Mistake<"a reason known only at run time: see EventManager.createEventWithData">
  : R extends R
    ? Mistake<`${Who} no reason ${R}${Hint<R, All>}`>
    : never

/** Checks that `K` is a kind of the catalogue. */
export type KnownKind<K extends string, All extends string> = [K] extends [All]
  ? unknown
  : Exclude<K, All> extends infer X extends string
    ? string extends X
      ? Mistake<"a kind known only at run time: see EventManager.createEventForCRD">
      : X extends X
        ? Mistake<`the catalogue has no kind ${X}${Hint<X, All>}`>
        : never
    : never

type Hint<R extends string, All extends string> =
  Nearest<Lowercase<R>, All> extends infer N extends string
    ? [N] extends [never]
      ? ""
      : ` - did you mean ${N}?`
    : never

// ---------------------------------------------------------------------------
// other messages
// ---------------------------------------------------------------------------

/** The type of a parameter for replaced messages, in the same way as `CheckedKinds`. */
export type CheckedMessages<Ks, Ms> = [Ms] extends [CheckMessages<Ks, Ms>]
  ? Ms
  : { readonly [R in AllReasons<Ks>]?: string } & CheckMessages<Ks, Ms>

/**
 * Every check of replaced messages at compile time: the checks of the definition, reasons that the catalogue does not have,
 * and fields that calls are not required to give.
 */
export type CheckMessages<Ks, Ms> = {
  readonly [R in keyof Ms]: string extends R
    ? unknown
    : R extends AllReasons<Ks>
      ? CheckReplacement<Ms[R], Ks[KindOf<Ks, R>], R>
      : Known<R & string, AllReasons<Ks>, "the catalogue has">
}

type CheckReplacement<T, K, R> = T extends string
  ? Analyse<T, Names<keyof FieldsOf<K> & string>> extends infer A
    ? [Extract<A, Mistake<string>>] extends [never]
      ? Given<A, R extends keyof NeedsOf<K> ? NeedsOf<K>[R] : never>
      : Extract<A, Mistake<string>> | Completions<T, Names<keyof FieldsOf<K> & string>>
    : never
  : unknown

type Given<A, Required> = [Exclude<A, Required>] extends [never]
  ? unknown
  : Mistake<`prints .${TemplateName<Exclude<A, Required> & string>} outside every {{if}}, but calls need not give it`>

// ---------------------------------------------------------------------------
// several catalogues
// ---------------------------------------------------------------------------

/** Checks that no reason is declared in two of the catalogues. */
export type NoReasonTwice<Cs> =
  Twice<Cs> extends infer R
    ? [R] extends [never]
      ? unknown
      : ReadonlyArray<Mistake<`declared twice: ${R & string}`>>
    : never

type Twice<Cs, Seen = never, Found = never> = Cs extends readonly [{ readonly kinds: infer Ks }, ...infer Rest]
  ? Twice<Rest, Seen | AllReasons<Ks>, Found | (Seen & AllReasons<Ks>)>
  : Found
