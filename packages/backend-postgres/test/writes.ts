import type { EventBody, Write } from "@tidings/core/Event"

export const ORIGIN = "0123456789abcdef0123456789abcdef"

/** The first state of the series with a number. */
export const first = (seq: number, body: Partial<EventBody> = {}, origin = ORIGIN): Write => ({
  id: { origin, seq },
  upTo: seq,
  count: 1,
  first: 1_790_000_000_000_000 + seq,
  last: 1_790_000_000_000_000 + seq,
  event: {
    involvedObject: { apiVersion: "apps/v1", kind: "Deployment", name: `web-${seq}`, namespace: "default" },
    reason: "RolloutStarted",
    type: "Normal",
    action: "RolloutStarted",
    message: `Version ${seq} is rolled out`,
    data: { stepCount: seq },
    source: { component: "test" },
    reportingController: "test",
    reportingInstance: "test-0",
    ...body
  }
})

/** The next state of a series. */
export const again = (write: Write): Write => ({
  ...write,
  upTo: write.upTo + 1_000_000,
  count: write.count + 1,
  last: write.last + 1_000_000
})

export const range = (from: number, to: number): Array<Write> =>
  Array.from({ length: to - from + 1 }, (_, index) => first(from + index))
