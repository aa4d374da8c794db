/**
 * Gates for what a server limits: a namespace, or an object. While a gate stands, its writes go one at a time, at the pace at
 * which the server takes them, and everything else goes on as ever.
 *
 * The pace is found out: it is raised a little with each write that is taken, and lowered with each that is refused. A refused
 * try costs the server's bucket nothing, so trying somewhat faster than it is filled leaves none of what it allows unused;
 * the two factors let about two tries in three be taken. A gate that is never refused any more goes by itself.
 */
import * as Duration from "effect/Duration"
import type { Throttled } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import type { Outgoing } from "./sinkOutbox.ts"
import { SECOND } from "./sinkTime.ts"

const FIRST_INTERVAL = SECOND / 20
const LONGEST_INTERVAL = 30 * SECOND
/** A pace of more than a hundred writes a second is no limit worth keeping to. */
const SHORTEST_INTERVAL = SECOND / 100
const AFTER_TAKEN = 0.85
const AFTER_REFUSED = 1.4
/** So many refusals in a row are no pace any more: when a write is taken after them, the pace is found out anew. */
const CLOSED_AFTER = 6

/** The gate that was refused longest ago makes room for a new one. */
const MAXIMUM_GATES = 1_024

interface Gate {
  interval: number
  openAt: number
  /** The one write of it that is under way. */
  underway: Outgoing | undefined
  /** In a row. */
  refusals: number
}

type Scope = Throttled["scope"]

const keyOf = (scope: Scope, { event: { involvedObject } }: Write): string =>
  JSON.stringify(
    scope === "namespace"
      ? [involvedObject.namespace ?? ""]
      : [involvedObject.namespace ?? "", involvedObject.kind, involvedObject.name]
  )

/**
 * Whether what is limited has a gate; otherwise the series, or the sink as a whole, waits.
 *
 * @internal
 */
export const isGated = (scope: Scope): boolean => scope === "namespace" || scope === "object"

/** @internal */
export class Gates {
  private readonly gates = new Map<string, Gate>()

  get size(): number {
    return this.gates.size
  }

  /** When a write may be tried: absent where no gate stands in its way, infinity while another one is under way. */
  openAt(write: Write): number | undefined {
    let openAt: number | undefined
    for (const gate of this.of(write)) {
      openAt = Math.max(openAt ?? 0, gate.underway === undefined ? gate.openAt : Number.POSITIVE_INFINITY)
    }
    return openAt
  }

  begin(one: Outgoing, write: Write): void {
    for (const gate of this.of(write)) gate.underway = one
  }

  /** The server refused a write for its limit. */
  refused(one: Outgoing, write: Write, { retryAfter, scope }: Throttled, at: number): void {
    const wait = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter) * 1_000
    const key = keyOf(scope, write)
    const gate = this.gates.get(key)
    if (gate === undefined) {
      if (this.gates.size >= MAXIMUM_GATES) this.gates.delete(this.gates.keys().next().value!)
      this.gates.set(key, {
        interval: FIRST_INTERVAL,
        openAt: at + Math.max(FIRST_INTERVAL, wait),
        underway: undefined,
        refusals: 1
      })
    } else if (gate.underway === one) {
      gate.refusals++
      gate.interval = Math.min(LONGEST_INTERVAL, gate.interval * AFTER_REFUSED)
      gate.openAt = at + Math.max(gate.interval, wait)
      gate.underway = undefined
      this.gates.delete(key)
      this.gates.set(key, gate)
    } else {
      // It was begun before the gate, and says nothing of its pace.
      gate.openAt = Math.max(gate.openAt, at + wait)
    }
    // Of another gate that it went through, nothing is known.
    this.ended(one, write, at, false)
  }

  /** The server took a write. */
  taken(one: Outgoing, write: Write, at: number): void {
    this.ended(one, write, at, true)
  }

  /** A write ended in another way. */
  failed(one: Outgoing, write: Write, at: number): void {
    this.ended(one, write, at, false)
  }

  private ended(one: Outgoing, write: Write, at: number, isTaken: boolean): void {
    for (const scope of ["namespace", "object"] as const) {
      const key = keyOf(scope, write)
      const gate = this.gates.get(key)
      if (gate?.underway !== one) continue
      gate.underway = undefined
      if (isTaken) {
        gate.interval = gate.refusals >= CLOSED_AFTER ? FIRST_INTERVAL : gate.interval * AFTER_TAKEN
        gate.refusals = 0
      }
      gate.openAt = at + gate.interval
      if (gate.interval < SHORTEST_INTERVAL) this.gates.delete(key)
    }
  }

  private of(write: Write): ReadonlyArray<Gate> {
    const ofNamespace = this.gates.get(keyOf("namespace", write))
    const ofObject = this.gates.get(keyOf("object", write))
    if (ofNamespace === undefined) return ofObject === undefined ? [] : [ofObject]
    return ofObject === undefined ? [ofNamespace] : [ofNamespace, ofObject]
  }
}
