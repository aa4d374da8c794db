import { type Backend, layerReader } from "@tidings/core/Backend"
import type { Check } from "@tidings/core/BackendCheck"
import type { EventReader } from "@tidings/core/EventReader"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as CliError from "effect/cli/CliError"
import type * as Command from "effect/cli/Command"
import type { CommandError } from "../../CommandError.ts"
import type { Catalogue } from "./catalogue.ts"
import * as defaultNamespace from "../defaultNamespace.ts"
import * as colour from "./colour.ts"
import * as failure from "./failure.ts"

/**
 * The part of a store that a command reads.
 *
 * @internal
 */
export interface Place {
  /** Absent where it is not given. */
  readonly namespace: string | undefined
  readonly allNamespaces: boolean
}

/**
 * What every verb knows about the run it is part of.
 *
 * @internal
 */
export class Session extends Context.Service<
  Session,
  {
    /** The command as the user types it. */
    readonly command: string
    /** What `--version` prints. */
    readonly version: string
    /** Who reports the events that the command records. */
    readonly component: string
    readonly host: string | undefined
    readonly catalogue: Catalogue
    readonly colour: colour.Mode
    /** What the backend offers for `doctor`; absent where it offers nothing. */
    readonly checks: ((place: Place) => Effect.Effect<ReadonlyArray<Check>, unknown, Command.Environment>) | undefined
    /** What the command line gives for each flag of the backend, in its order. */
    readonly given: Readonly<Record<string, ReadonlyArray<string>>>
    /** Where a recorder over the backend keeps what it has accepted. */
    readonly journal: Effect.Effect<string, unknown, Command.Environment>
    /** What is read and written. `create`: whether the verb may begin a store that is not there yet. */
    readonly store: (options: { readonly create: boolean }) => Layer.Layer<Backend, unknown, Command.Environment>
  }
>()("tidings/internal/cli/Session") {}

/**
 * See `Cli.DefaultNamespace`.
 *
 * @internal
 */
export const DefaultNamespace = defaultNamespace.DefaultNamespace

/** @internal */
export const colours: Effect.Effect<colour.Colours, never, Session> = Session.use((session) =>
  colour.coloursOf(session.colour)
)

/**
 * Lends a backend to the part of a verb that needs one, so that a wrong command line is found out before any is built.
 *
 * @internal
 */
export const withBackend =
  (options: { readonly create: boolean }) =>
  <A, E, R>(
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<A, unknown, Exclude<R, Backend> | Session | Command.Environment> =>
    Session.use(({ store }) => Effect.provide(self, store(options)))

/**
 * The same for verbs that only read.
 *
 * @internal
 */
export const withReader =
  (options: { readonly create: boolean }) =>
  <A, E, R>(
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<A, unknown, Exclude<R, EventReader> | Session | Command.Environment> =>
    Session.use(({ store }) => {
      const reader: Layer.Layer<EventReader, unknown, Command.Environment> = Layer.provideMerge(
        layerReader,
        store(options)
      )
      return Effect.provide(self, reader)
    })

/** @internal */
export const check = <A>(result: Result.Result<A, string>): Effect.Effect<A, failure.Usage> =>
  Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.fail(new failure.Usage({ detail: result.failure }))

/**
 * How every verb ends: a wrong command line that the verb found out is told like one that the parser found out, anything
 * else in one or two lines.
 *
 * @internal
 */
export const verb =
  (...path: ReadonlyArray<string>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, CommandError | CliError.ShowHelp, R | Session> =>
    Effect.catch(self, (error): Effect.Effect<never, CommandError | CliError.ShowHelp, Session> =>
      error instanceof failure.Usage
        ? Session.use(({ command }) => Effect.fail(failure.usage([command, ...path], error)))
        : Effect.fail(failure.toCommandError(error))
    )

/** @internal */
export const refuse = (detail: string): Effect.Effect<never, failure.Usage> =>
  Effect.fail(new failure.Usage({ detail }))
