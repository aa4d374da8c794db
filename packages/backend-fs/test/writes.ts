import type { EventBody, Write } from "@tidings/core/Event"

export const origin = "0123456789abcdef0123456789abcdef"

/** A time some way into the second of 2026-09-21T14:13:20Z. */
export const at = (micros: number): number => 1_790_000_000_000_000 + micros

/** The first occurrence of a series. */
export const first = (seq: number, body?: Partial<EventBody>, from: string = origin): Write => ({
  id: { origin: from, seq },
  upTo: seq,
  count: 1,
  first: at(seq),
  last: at(seq),
  event: {
    involvedObject: { kind: "Workflow", name: "deploy", namespace: "default" },
    reason: "WorkflowStepCompleted",
    type: "Normal",
    action: "WorkflowStepCompleted",
    message: `Step ${seq} of workflow deploy was completed`,
    data: { stepId: `step-${seq}` },
    source: { component: "example" },
    reportingController: "example",
    reportingInstance: "example-0",
    ...body
  }
})

/** The same series with one more occurrence. */
export const again = (write: Write, upTo: number): Write => ({
  ...write,
  upTo,
  count: write.count + 1,
  last: at(upTo)
})

export const seqsOf = (events: ReadonlyArray<{ readonly id: { readonly seq: number } }>): Array<number> =>
  events.map(({ id }) => id.seq)
