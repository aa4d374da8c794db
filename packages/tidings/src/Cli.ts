/**
 * The command, as a library, over any backend: `list`, `follow`, `wait`, `top`, `story`, `get`, `emit`, `export`, `import`, `explain`,
 * `template`, `doctor`, `parked`, `retention`, `prune`, `compress` and `mcp`.
 *
 * **When to use**
 *
 * Use `run` to give a store of your own a command of its own. Use `runWith` to run it inside a program or a test, with
 * arguments of your choice. Use `make` to hang it into a larger command of `effect/cli`.
 *
 * **Example** (A command for a backend of one's own)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Cli from "tidings/Cli"
 *
 * const layer = Backend.layerMemory()
 * Cli.run(layer, { name: "shop-events", version: "1.0.0" })
 * ```
 *
 * @since 0.1.0
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import type { Backend } from "@tidings/core/Backend"
import type { Check } from "@tidings/core/BackendCheck"
import type { Kinds } from "@tidings/core/EventCatalogue"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as Console from "effect/Console"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Path from "effect/Path"
import * as References from "effect/References"
import type * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import type * as CliError from "effect/cli/CliError"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import { hostname } from "node:os"
import type { CommandError } from "./CommandError.ts"
import type { Planning } from "./internal/cli/archivePlan.ts"
import * as argv from "./internal/cli/argv.ts"
import * as catalogue from "./internal/cli/catalogue.ts"
import * as failure from "./internal/cli/failure.ts"
import * as flags from "./internal/cli/flags.ts"
import * as help from "./internal/cli/help.ts"
import * as kindNames from "./internal/cli/kindNames.ts"
import * as process from "./internal/cli/process.ts"
import * as session from "./internal/cli/session.ts"
import * as verb from "./internal/cli/verb.ts"
import type { Context as VerbContext } from "./internal/cli/verbContext.ts"
import * as verbs from "./internal/cli/verbs.ts"
import * as words from "./internal/cli/words.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What the layer of a backend may use: files, paths, and the standard streams. `run` brings them along.
 *
 * @category models
 * @since 0.1.0
 */
export type Services = FileSystem.FileSystem | Path.Path | Stdio.Stdio

/**
 * A flag that chooses or configures the backend. It takes a text and may stand before or after the verb.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendFlag {
  /** What stands for its value in help: `DIRECTORY`. */
  readonly value: string
  /** What it does, with its default. */
  readonly description: string
  /** One letter: `d` for `-d`. */
  readonly alias?: string | undefined
  /** The values that it takes, upper and lower case alike; any unless given. */
  readonly choices?: ReadonlyArray<string> | undefined
  /** Whether a shell completes its value as the path of a file or of a directory. */
  readonly path?: "file" | "directory" | undefined
  /**
   * The values that a shell offers, where they are found out: names of contexts, of databases. What fails, or takes longer than
   * three seconds, offers nothing. `values` has the flags of the backend that are on the command line.
   */
  readonly complete?:
    | ((values: {
        readonly [flag: string]: string | undefined
      }) => Effect.Effect<ReadonlyArray<string>, unknown, Services>)
    | undefined
}

/**
 * The part of a store that a command reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  /** As `--namespace` names it; absent where it is not given. */
  readonly namespace: string | undefined
  /** Whether `--all-namespaces` is given. */
  readonly allNamespaces: boolean
}

/**
 * What a backend offers beside its layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendExtras<in Values> {
  /**
   * What `doctor` looks at. Unless given, it looks whether the layer can be built, and reads from it.
   */
  readonly checks?:
    | ((values: Values, place: Place) => Effect.Effect<ReadonlyArray<Check>, unknown, Services>)
    | undefined
  /**
   * Where recorders over this backend keep their journal, for `parked` without `--journal`. As `FileJournal.layer` has it
   * unless given.
   */
  readonly journal?: ((values: Values) => Effect.Effect<string, unknown, Services>) | undefined
}

/**
 * A backend that flags of the command choose or configure. Made by `withFlags`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendWithFlags<out E> {
  readonly flags: { readonly [flag: string]: BackendFlag }
  readonly layer: (
    values: { readonly [flag: string]: string | undefined },
    use: BackendUse
  ) => Layer.Layer<Backend, E, Services>
  readonly extras: BackendExtras<{ readonly [flag: string]: string | undefined }>
  /**
   * What `archive` copies; without it there is no such verb.
   *
   * @internal
   */
  readonly archive?: (given: Readonly<Record<string, ReadonlyArray<string>>>) => Planning
}

/**
 * What a verb wants of the backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendUse {
  /** Whether a store that is not there yet should be begun. Verbs that only show what is stored leave nothing behind. */
  readonly create: boolean
}

/**
 * What the command reads and writes: a layer, or a layer that depends on flags.
 *
 * @category models
 * @since 0.1.0
 */
export type BackendSource<E> = Layer.Layer<Backend, E, Services> | BackendWithFlags<E>

/**
 * What a command is called and knows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The command as its users type it. Its last word also is the source of the events that it records. */
  readonly name: string
  /** What `--version` prints. */
  readonly version: string
  /** One sentence for `--help`. */
  readonly description?: string | undefined
  /**
   * Catalogues of the host (`EventCatalogue.Service`) beside the built-in one: `explain` shows their reasons, `emit`
   * renders their messages and reads their data, filters know their kinds.
   */
  readonly catalogues?: ReadonlyArray<{ readonly kinds: Kinds }> | undefined
}

// ---------------------------------------------------------------------------
// references
// ---------------------------------------------------------------------------

/**
 * The namespace that is meant where a command line names none. The layer of a backend may provide it beside the backend;
 * where it does not, reading means all namespaces, and recording `default`.
 *
 * **Example** (A backend of one team)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Layer from "effect/Layer"
 * import * as Cli from "tidings/Cli"
 *
 * export const layer = Layer.merge(Backend.layerMemory(), Layer.succeed(Cli.DefaultNamespace, "team-a"))
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const DefaultNamespace: Context.Reference<string | undefined> = session.DefaultNamespace

/**
 * A kind as a store knows it.
 *
 * @category models
 * @since 0.2.0
 */
export interface FoundKind {
  /** As its type spells it: `Deployment`. */
  readonly kind: string
  /** Group and version: `apps/v1`. */
  readonly apiVersion: string
  /** Whether its objects are in namespaces; those of others are cluster-scoped. */
  readonly namespaced: boolean
}

/**
 * Finds the kind that a name stands for: `deployments`, `deploy`, `deployment.apps`, `deployment.v1.apps`, in small
 * letters or large. The layer of a backend may provide it beside the backend, where its store knows kinds that neither a
 * catalogue nor every cluster has; a name that it does not know is taken as it stands.
 *
 * **Example** (A store with one kind of its own)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Cli from "tidings/Cli"
 *
 * const plugin = { kind: "ClusterPlugin", apiVersion: "configuration.example.dev/v1", namespaced: false }
 * const findKind = (name: string) => Effect.succeed(/^clusterplugins?(\.|$)/i.test(name) ? plugin : undefined)
 * export const layer = Layer.merge(Backend.layerMemory(), Layer.succeed(Cli.FindKind, findKind))
 * ```
 *
 * @category references
 * @since 0.2.0
 */
export const FindKind: Context.Reference<(name: string) => Effect.Effect<FoundKind | undefined>> = kindNames.FindKind

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A backend that flags choose or configure; a flag that is not given is `undefined`.
 *
 * **Example** (A flag for the database)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Cli from "tidings/Cli"
 *
 * const layerAt = (_file: string) => Backend.layerMemory()
 *
 * export const source = Cli.withFlags(
 *   { database: { value: "FILE", description: "The database (default events.db)" } },
 *   ({ database }) => layerAt(database ?? "events.db")
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const withFlags = <const Flags extends { readonly [flag: string]: BackendFlag }, E>(
  flags: Flags,
  layer: (
    values: { readonly [F in keyof Flags]: string | undefined },
    use: BackendUse
  ) => Layer.Layer<Backend, E, Services>,
  extras: BackendExtras<{ readonly [F in keyof Flags]: string | undefined }> = {}
): BackendWithFlags<E> => ({
  flags,
  // The parser fills in a value for each flag, so the record has exactly the keys of `Flags`.
  layer: layer as BackendWithFlags<E>["layer"],
  extras: extras as BackendWithFlags<E>["extras"]
})

/**
 * The command as a value of `effect/cli`, to be run with `Command.runWith` or hung into a larger command.
 *
 * Wrong command lines fail with `CliError.ShowHelp`, as everywhere in `effect/cli`, and all else with `CommandError`.
 * `runWith` adds what a whole command needs: exit codes, help and errors where they belong, `-ojson`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E>(
  backend: BackendSource<E>,
  options: Options
): Command.Command<string, never, {}, CliError.CliError | CommandError, Command.Environment> => {
  const { context, root, run } = rootOf(backend, options)
  return root.pipe(Command.withSubcommands(verbs.all(context, run)))
}

const sourceOf = <E>(backend: BackendSource<E>): BackendWithFlags<E> =>
  "flags" in backend ? backend : { flags: {}, layer: () => backend, extras: {} }

/** The command without verbs, and what its verbs are made from. */
const rootOf = <E>(backend: BackendSource<E>, options: Options) => {
  const known = catalogueOf(options)
  const source = sourceOf(backend)
  const { checks, journal } = source.extras
  const backendFlags: Record<string, Flag.Flag<ReadonlyArray<string>>> = {}
  for (const [name, { choices, ...flag }] of Object.entries(source.flags)) {
    backendFlags[name] =
      choices === undefined
        ? flags.texts(name, flag)
        : Flag.map(flags.choice(name, choices, flag), (value) => (value === undefined ? [] : [value]))
  }

  const root = Command.make(options.name).pipe(
    Command.withDescription(options.description ?? "Read and record Kubernetes Events."),
    Command.withSharedFlags({ backend: backendFlags, color: flags.color })
  )
  const run = Layer.effect(
    session.Session,
    Effect.map(root, ({ backend: given, color = "auto" }) => {
      // Given twice, the last one counts.
      const backend = Object.fromEntries(Object.entries(given).map(([name, values]) => [name, values.at(-1)]))
      return {
        command: options.name,
        version: options.version,
        component: options.name.slice(options.name.lastIndexOf(" ") + 1),
        host: hostname() || undefined,
        catalogue: known,
        colour: color,
        given,
        checks: checks === undefined ? undefined : (place: Place) => checks(backend, place),
        journal:
          journal === undefined
            ? Effect.flatMap(
                Effect.promise(() => import("@tidings/backend-fs/FileJournal")),
                (FileJournal) => FileJournal.directory
              )
            : journal(backend),
        store: (use: BackendUse) => source.layer(backend, use)
      }
    })
  )
  const context: VerbContext = { catalogue: known, flags: new Set(Object.keys(source.flags)), archive: source.archive }
  return { root, run, context }
}

/** The command with one verb, or with all where none is named. */
const commandFor = <E>(
  backend: BackendSource<E>,
  options: Options,
  name: string | undefined
): Effect.Effect<{
  readonly command: Command.Command<string, never, {}, CliError.CliError | CommandError, Command.Environment>
  readonly verbs: ReadonlyArray<string>
}> => {
  const { context, root, run } = rootOf(backend, options)
  return Effect.map(
    Effect.promise(() => verb.load(name, context, run)),
    (loaded) => ({ command: root.pipe(Command.withSubcommands(loaded)), verbs: loaded.map(({ name }) => name) })
  )
}

/**
 * The verb that a command line is about, which is loaded alone: its first word. None where it asks for a script of completion,
 * which has all of them.
 */
const verbOf = (args: ReadonlyArray<string>): string | undefined =>
  args.some((argument) => argument.startsWith("--completions")) ? undefined : args[0]

const catalogueOf = ({ catalogues = [] }: Options): catalogue.Catalogue => catalogue.make(EventGenerator, catalogues)

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

/** The parser would start editors and ask for flags where a command says so. None of ours does. */
const unused = Layer.mergeAll(
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.die("the command asks no questions"),
      rows: Effect.die("the command asks no questions"),
      size: Effect.die("the command asks no questions"),
      readInput: Effect.die("the command asks no questions"),
      readLine: Effect.die("the command asks no questions"),
      display: () => Effect.die("the command asks no questions")
    })
  ),
  Layer.succeed(
    ChildProcessSpawner.ChildProcessSpawner,
    ChildProcessSpawner.make(() => Effect.die("the command starts no processes"))
  )
)

/** Answers a shell that asks what may stand at the cursor. */
const complete = <E>(
  backend: BackendSource<E>,
  options: Options,
  asked: ReadonlyArray<string>
): Effect.Effect<number, never, Services> =>
  Effect.gen(function* () {
    const source = sourceOf(backend)
    const { command } = yield* commandFor(backend, options, undefined)
    const { run } = yield* Effect.promise(() => import("./internal/cli/completing.ts"))
    const store = (values: { readonly [flag: string]: string | undefined }) => source.layer(values, { create: false })
    yield* run({ command, catalogue: catalogueOf(options), values: source.flags, store }, asked)
    return 0
  }).pipe(Effect.provide(unused))

/**
 * Runs the command with the given arguments (without the name of the command) and answers its exit code: 0, 1 for a
 * failure, 2 for a wrong command line, 4 for a backend that cannot be reached or does not let us in.
 *
 * Data goes to `Console.log`, words to `Console.error`; logs of a backend go to stderr from `Warn` on.
 *
 * **Example** (Recording and reading in memory)
 *
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import * as Backend from "@tidings/core/Backend"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 * import * as Cli from "tidings/Cli"
 *
 * const run = Cli.runWith(Backend.layerMemory(), { name: "events", version: "1.0.0" })
 * const codes = await Effect.runPromise(
 *   Effect.all([run(["emit", "Workflow/deploy", "WorkflowExecuted"]), run(["list", "--lmit", "5"])]).pipe(
 *     Effect.provide(NodeServices.layer)
 *   )
 * )
 * assert.deepEqual(codes, [0, 2])
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const runWith = <E>(
  backend: BackendSource<E>,
  options: Options
): ((argv: ReadonlyArray<string>) => Effect.Effect<number, never, Services>) => {
  const services = Layer.mergeAll(
    Layer.succeed(CliConfig.CliConfig, help.config(catalogueOf(options))),
    Layer.succeed(CliOutput.Presenter, help.presenter),
    CliOutput.layer(help.formatter),
    unused,
    Logger.layer([words.logger]),
    Layer.succeed(References.MinimumLogLevel, "Warn")
  )
  return (written) => {
    if (written[0] === argv.VERB) return complete(backend, options, written.slice(1))
    const args = argv.normalise(written)
    return Effect.flatMap(commandFor(backend, options, verbOf(args)), ({ command, verbs }) => {
      const [asked = ""] = args
      // The parser shows the help of the whole command where a verb is not known.
      const isUnknown = written[0] === "help" && asked !== "" && !asked.startsWith("-") && !verbs.includes(asked)
      return Command.runWith(command, { version: options.version })(isUnknown ? [asked] : args)
    }).pipe(
      Effect.as(0),
      Effect.catchCause((cause) => {
        const { exit, untold } = failure.outcomeOf(cause)
        return Effect.as(untold.length === 0 ? Effect.void : Console.error(`error: ${untold.join("\n")}`), exit)
      }),
      Effect.provide(services)
    )
  }
}

/**
 * Runs the command as the main program of a process: arguments from the command line, exit codes, signals (130 for
 * SIGINT, 143 for SIGTERM), quiet when the reader of a pipe leaves.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <E>(backend: BackendSource<E>, options: Options): void =>
  process.run(
    Effect.suspend(() => runWith(backend, options)(globalThis.process.argv.slice(2))).pipe(
      // Not all of NodeServices: what is never used would be loaded at every start.
      Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeStdio.layer))
    )
  )
