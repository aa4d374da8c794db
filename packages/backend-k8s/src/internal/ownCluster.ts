/**
 * Holds a process to the cluster that it began to write to.
 *
 * Events are of one cluster. When another one answers at the address (etcd begun anew, a name that leads elsewhere), they
 * must not be written there. A cluster cannot be replaced without a break, so it is asked which one answers whenever there
 * may have been one (`KubernetesConnection.epoch`), and nothing is written before the
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
  /** Which cluster answers now; asks. */
  readonly target: Effect.Effect<Target.Target, BackendError.BackendError>
  /** Whether nothing has happened since it was known that the own cluster answers. */
  readonly isConfirmed: () => boolean
  /** Succeeds when the own cluster answers. It is the one that was told last before the first write. */
  readonly confirm: Effect.Effect<void, BackendError.BackendError>
}

/**
 * Why what is found is not taken for the expected cluster.
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
  /** What was told last, and when. */
  let told: { readonly target: Target.Target; readonly epoch: number } | undefined
  /** What this process writes to, from its first write on. */
  let own: Target.Target | undefined
  let confirmedAt: number | undefined
  let underWay: Deferred.Deferred<void, BackendError.BackendError> | undefined

  const ask = Effect.suspend(() => {
    const epoch = connection.epoch()
    return Effect.map(connection.target, (target) => ({ target, epoch }))
  })

  const isConfirmed = (): boolean => confirmedAt !== undefined && confirmedAt === connection.epoch()

  const look: Effect.Effect<void, BackendError.BackendError> = Effect.suspend(() => {
    // Who has been told the target is held to it, also by the first write.
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

  /** Of many writes that wait, one asks, and goes on asking when it is given up. */
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
