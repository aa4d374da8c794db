/**
 * Which calls to a simulated disk fail, and in which the process dies: as planned, or by chance.
 *
 * @internal
 */
import type { Dice } from "../../Simulation.ts"
import { failure } from "./failure.ts"
import type { Call, Faults, Plan, PlannedFault } from "./model.ts"

/** The share of `Faults` that applies to each call. */
const SHARES: { readonly [K in Call]: "append" | "sync" | "read" | "names" | undefined } = {
  append: "append",
  create: "names",
  link: "names",
  linkSymbolic: "names",
  makeDirectory: "names",
  read: "read",
  rename: "names",
  sync: "sync",
  syncLater: "sync",
  truncate: undefined,
  unlink: "names"
}

/** @internal */
export class CallFaults {
  shares: Faults
  /** Calls since the last plan in which the process might have died. */
  calls = 0
  private dieAt = Number.POSITIVE_INFINITY
  private planned: ReadonlyArray<{ readonly fault: PlannedFault; seen: number }> = []
  private readonly dice: Dice
  private readonly count: (what: string) => void

  constructor(shares: Faults, dice: Dice, count: (what: string) => void) {
    this.shares = shares
    this.dice = dice
    this.count = count
  }

  plan(plan: Plan): void {
    this.calls = 0
    this.dieAt = plan.dieAt ?? Number.POSITIVE_INFINITY
    this.planned = (plan.faults ?? []).map((fault) => ({ fault, seen: 0 }))
  }

  /** Counts a call, and says whether the process dies in it. */
  isLastCall(): boolean {
    return ++this.calls === this.dieAt || this.dice.chance(this.shares.death ?? 0)
  }

  /** How many bytes of a write are taken. */
  taken(length: number): number {
    return length > 1 && this.dice.chance(this.shares.shortWrite ?? 0) ? this.dice.integer(1, length - 1) : length
  }

  /** What a call fails with; absent where it does not. */
  failureOf(call: Call, path: string): Error | undefined {
    const share = SHARES[call]
    const byChance = share !== undefined && this.dice.chance(this.shares[share] ?? 0) ? "EIO" : undefined
    const code = this.plannedCode(call, path) ?? byChance
    if (code === undefined) return undefined
    this.count(`${share ?? call}Failed`)
    this.count(`${call}.${code}`)
    return failure(code, path)
  }

  private plannedCode(call: Call, path: string): string | undefined {
    let code: string | undefined
    for (const one of this.planned) {
      const { fault } = one
      if (fault.call !== call || (fault.path !== undefined && !path.includes(fault.path))) continue
      one.seen++
      if (one.seen >= fault.nth && one.seen < fault.nth + (fault.times ?? 1)) code ??= fault.code ?? "EIO"
    }
    return code
  }
}
