/** What a server does while etcd does not answer: requests wait for it, each only so long. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { isWrite, type RequestInfo } from "./request.ts"
import * as Status from "./statuses.ts"
import type { Answer } from "./statuses.ts"

const writeLimit = Duration.seconds(34)
const listLimit = Duration.seconds(40)
const readyzLimit = Duration.seconds(4)

/** @internal */
export class EtcdOutage {
  readonly #requestTimeout: Duration.Duration
  readonly #latch = Latch.makeUnsafe(true)
  #isOver = true

  constructor(requestTimeout: Duration.Duration) {
    this.#requestTimeout = requestTimeout
  }

  /** Whether etcd answers. */
  get isOver(): boolean {
    return this.#isOver
  }

  begin(): void {
    this.#isOver = false
    this.#latch.closeUnsafe()
  }

  end(): void {
    this.#isOver = true
    this.#latch.openUnsafe()
  }

  holdsUp(info: RequestInfo): boolean {
    if (this.#isOver) return false
    return (
      info.path === "/readyz" || (info.isResource && !info.resource.startsWith("selfsubject") && info.verb !== "watch")
    )
  }

  /** Undefined when etcd came back in time; otherwise what the request is answered. */
  wait(info: RequestInfo): Effect.Effect<Answer | undefined> {
    if (info.path === "/readyz") return Effect.as(Effect.sleep(readyzLimit), Status.notReady)
    const [duration, answer] = this.#limit(info)
    return this.#latch.await.pipe(
      Effect.as(undefined),
      Effect.timeoutOrElse({ duration, orElse: () => Effect.succeed(answer) })
    )
  }

  #limit(info: RequestInfo): readonly [Duration.Duration, Answer] {
    const requestLimit = [this.#requestTimeout, Status.requestTimeout] as const
    const [limit, answer] = isWrite(info)
      ? [writeLimit, Status.storageTimeout]
      : info.verb === "list"
        ? [listLimit, Status.etcdSilent]
        : requestLimit
    return Duration.isGreaterThanOrEqualTo(limit, this.#requestTimeout) ? requestLimit : [limit, answer]
  }
}
