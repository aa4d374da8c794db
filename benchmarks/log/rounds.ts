/**
 * Measuring what many operations cost in CPU, inside of one process.
 */
import { median } from "../Measurement.ts"

/** What this process has used so far, in microseconds, of user and system. */
export const cpuNow = (): number => {
  const { system, user } = process.cpuUsage()
  return system + user
}

/** CPU of an event, in microseconds: the median of rounds, before which two warm the compiler up. Each prepares what it runs. */
export const rounds = async (
  count: number,
  events: number,
  prepare: (round: number) => () => Promise<void> | void
): Promise<number> => {
  const costs: Array<number> = []
  for (let round = -2; round < count; round++) {
    const run = prepare(round + 2)
    globalThis.gc?.()
    const before = cpuNow()
    await run()
    if (round >= 0) costs.push((cpuNow() - before) / events)
  }
  return median(costs)
}
