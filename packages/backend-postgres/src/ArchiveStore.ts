/**
 * What an archive needs of the database that it fills: rows, and the position of the watch that they come from, in one commit.
 *
 * `PostgresBackend.layer` provides it. It is a service of its own so that an archive can be run over a model of a database.
 *
 * @since 0.2.0
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { ClusterRef, Event } from "@tidings/core/Event"
import type { Coverage, Cursor } from "@tidings/core/EventQuery"
import type { Target } from "@tidings/core/Target"
import type { Micros } from "@tidings/core/Timestamp"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * A time for which one replica copied everything, apart from what came before it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Span {
  readonly since: Micros
  readonly until: Micros
  /** Why it does not go on from an earlier one; absent where none was before. */
  readonly why?: string | undefined
}

/**
 * Where a replica begins with a store.
 *
 * @category models
 * @since 0.2.0
 */
export interface Opening {
  /** The key of the store in this database. */
  readonly key: number
  /** What is put on each event as its cluster: `id` never changes for a store, whatever is learned about it later. */
  readonly cluster: ClusterRef
  /** How often the store was found to be put back to an earlier state. */
  readonly epoch: number
  /** Up to where everything is in the archive: the furthest position of all replicas. Absent: nothing is. */
  readonly cursor?: Cursor | undefined
  /** The span that this replica goes on with. */
  readonly span?: Span | undefined
  /** Up to which time the replica that left the cursor had copied everything. */
  readonly until?: Micros | undefined
}

/**
 * A state of an event, and the line that is stored of it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Row {
  readonly event: Event
  readonly line: string
}

/**
 * What is committed together.
 *
 * @category models
 * @since 0.2.0
 */
export interface Commit {
  /** The key of the store (`Opening.key`). */
  readonly key: number
  readonly replica: string
  /** The epoch in which the store was opened (`Opening.epoch`). */
  readonly epoch: number
  /** In the order of change. A state that is stored is not stored again, whichever replica wrote it. */
  readonly rows: ReadonlyArray<Row>
  /** Whether some of them are of another cluster than the store itself, as a log may have what it was given by an import. */
  readonly isMixed: boolean
  /** Where the replica goes on after a restart. */
  readonly cursor?: Cursor | undefined
  /** The span that the replica is in; absent while it copies what there is, before anything is complete. */
  readonly span?: Span | undefined
  /** Up to when everything is copied that was there at `cursor`; absent where nothing is. */
  readonly until?: Micros | undefined
  /** A span that ends here, because what came after it cannot be had. */
  readonly ended?: Span | undefined
  /** Whether the replica is up to date and follows what changes. */
  readonly isLive: boolean
  /** Whether to look for gaps that are not told yet. */
  readonly tell: boolean
  /**
   * Whether a copy from the beginning is complete with this commit. Where another replica has a position meanwhile, `cursor` and
   * `span` are not taken, and the replica opens the store anew, to go on from there: two spans that begin independently would
   * have a gap between them.
   */
  readonly isFirst: boolean
}

/**
 * What came of a commit.
 *
 * @category models
 * @since 0.2.0
 */
export interface Committed {
  /** How many of the rows were new. */
  readonly written: number
  /** Whether the replica has to open the store anew: another one has begun a new epoch, or was first (`Commit.isFirst`). */
  readonly isOvertaken: boolean
  /** How many gaps were told by this commit. */
  readonly gaps: number
  /** Whether there is a gap that another replica may still cover, so that it is not told yet. */
  readonly isPending: boolean
  /** Whether another process that runs commits under the name of this replica too. */
  readonly isShared?: boolean
}

/**
 * A replica as the others see it.
 *
 * @category models
 * @since 0.2.0
 */
export interface ReplicaStatus {
  readonly name: string
  /** Whether it is running and follows what changes. */
  readonly isLive: boolean
  /** When it last said anything. */
  readonly seen: Micros
  /** Up to when it has copied everything. */
  readonly until?: Micros | undefined
  /** How many states it has written. */
  readonly states: number
  /** What is the matter with it. */
  readonly problem?: string | undefined
}

/**
 * A store that is archived.
 *
 * @category models
 * @since 0.2.0
 */
export interface ArchivedStore {
  /** What its events have as their cluster. */
  readonly cluster: ClusterRef
  /** How often it was found to be put back to an earlier state. */
  readonly epoch: number
  /** For which time all of its replicas together have copied everything. */
  readonly coverage: Coverage
  /** By name. Those that said nothing for a day are forgotten when another one opens the store. */
  readonly replicas: ReadonlyArray<ReplicaStatus>
}

/**
 * The database of an archive.
 *
 * Everything can be repeated: a commit whose answer was lost, once more, changes nothing.
 *
 * @category services
 * @since 0.2.0
 */
export class ArchiveStore extends Context.Service<
  ArchiveStore,
  {
    /** Finds or makes the row of a store, and says where a replica begins. `name` is what people call the store. */
    readonly open: (options: {
      readonly target: Target
      readonly name?: string | undefined
      readonly replica: string
    }) => Effect.Effect<Opening, BackendError>
    /**
     * Stores rows and the position that they come from, all or nothing. Fails with `TargetMismatch` where the database, or the store
     * in it, was replaced.
     */
    readonly commit: (commit: Commit) => Effect.Effect<Committed, BackendError>
    /**
     * The store was put back to an earlier state: what it has now belongs to a new epoch, unless another replica has begun it.
     * The next replica that opens the store copies all of it again.
     */
    readonly newEpoch: (options: {
      readonly key: number
      readonly replica: string
      readonly epoch: number
      readonly ended?: Span | undefined
    }) => Effect.Effect<void, BackendError>
    /** The replica stops copying: until a problem is over, or, where no problem is given, because it shuts down. */
    readonly leave: (options: {
      readonly key: number
      readonly replica: string
      readonly problem?: string | undefined
    }) => Effect.Effect<void, BackendError>
    /** The stores that are archived here, by name. */
    readonly stores: Effect.Effect<ReadonlyArray<ArchivedStore>, BackendError>
  }
>()("@tidings/backend-postgres/ArchiveStore") {}
