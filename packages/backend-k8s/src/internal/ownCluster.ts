/**
 * Binds a process to the cluster that it first wrote to.
 *
 * Events belong to one cluster. When another one answers at the address (etcd was set up again, a name leads elsewhere),
 * they must not be written there. A cluster cannot be replaced without a sign of it, so its identity is read again whenever
 * there was one (`KubernetesConnection.epoch`), and nothing is written before it is known. While another cluster answers,
 * writes fail with `TargetMismatch`, and where its identity cannot be read, with `Unauthorized`.
 */
import * as BackendError from "@tidings/core/BackendError"
import * as Target from "@tidings/core/Target"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import { readKubeSystem } from "./clusterTarget.ts"
import { ruleFor } from "./permissions.ts"
import { notSent } from "./requestErrors.ts"

/** @internal */
export interface OwnCluster {
  /** Reads which cluster answers now. */
  readonly target: Effect.Effect<Target.Target, BackendError.BackendError>
  /** Whether the cluster is verified, and there was no sign of another one since. */
  readonly isConfirmed: () => boolean
  /** Succeeds when the cluster of this process answers. Before the first write, that is the one that `target` gave last. */
  readonly confirm: Effect.Effect<void, BackendError.BackendError>
}

/**
 * The error where another cluster answers than the expected one.
 *
 * @internal
 */
export const mismatch = (expected: Target.Target, found: Target.Target): BackendError.BackendError =>
  BackendError.make(
    found.isUncertain === true
      ? new BackendError.Unauthorized({
          detail:
            `it cannot be determined whether this is still the cluster ${expected.id}, since its uid can no longer be read; ` +
            ruleFor(readKubeSystem)
        })
      : new BackendError.TargetMismatch({
          expected: expected.id,
          found: found.id,
          detail: "another cluster replaced the one that was used before; point the address back, or restart"
        })
  )

/** @internal */
export const make = (options: {
  readonly connection: KubernetesConnection["Service"]
  readonly scope: Scope.Scope
  /** Runs when another cluster answers: what is remembered of objects does not hold there. */
  readonly onOther: Effect.Effect<void>
}): OwnCluster => {
  const { connection, onOther, scope } = options
  /** What `target` gave last, and in which epoch. */
  let told: { readonly target: Target.Target; readonly epoch: number } | undefined
  /** The cluster of this process, from its first write on. */
  let own: Target.Target | undefined
  let confirmedAt: number | undefined
  let underWay: Deferred.Deferred<void, BackendError.BackendError> | undefined

  const ask = Effect.suspend(() => {
    const epoch = connection.epoch()
    return Effect.map(connection.target, (target) => ({ target, epoch }))
  })

  const isConfirmed = (): boolean => confirmedAt !== undefined && confirmedAt === connection.epoch()

  const look: Effect.Effect<void, BackendError.BackendError> = Effect.suspend(() => {
    // A caller that has read the target expects the first write to go there.
    const known = own === undefined && told?.epoch === connection.epoch() ? Effect.succeed(told) : ask
    return Effect.flatMap(known, ({ epoch, target }) => {
      const expected = own ?? told?.target ?? target
      if (!Target.isContinued(expected, target)) {
        return Effect.andThen(onOther, Effect.fail(mismatch(expected, target)))
      }
      own = Target.learned(expected, target)
      confirmedAt = epoch
      return Effect.void
    })
  })

  /** One request serves all writes that wait. It goes on when the write that started it is interrupted. */
  const confirm: Effect.Effect<void, BackendError.BackendError> = Effect.suspend(() => {
    if (isConfirmed()) return Effect.void
    if (underWay !== undefined) return Deferred.await(underWay)
    const deferred = Deferred.makeUnsafe<void, BackendError.BackendError>()
    underWay = deferred
    const asking = Effect.onExit(Effect.mapError(look, notSent), (exit) => {
      underWay = undefined
      return Deferred.done(deferred, exit)
    })
    return Effect.andThen(Effect.forkIn(Effect.ignore(asking), scope), Deferred.await(deferred))
  })

  return {
    target: Effect.map(ask, (answered) => {
      told = answered
      return answered.target
    }),
    isConfirmed,
    confirm
  }
}
