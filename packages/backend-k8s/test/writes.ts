import type { EventBody, Write } from "@tidings/core/Event"

export const origin = "0123456789abcdef0123456789abcdef"

export const body = (over: Partial<EventBody> = {}): EventBody => ({
  involvedObject: { apiVersion: "v1", kind: "ConfigMap", name: "web", namespace: "default", uid: "uid-of-web" },
  reason: "Started",
  type: "Normal",
  action: "Start",
  message: "it was started",
  data: { name: "web", namespace: "default" },
  source: { component: "example" },
  reportingController: "example.dev/controller",
  reportingInstance: "example-0",
  ...over
})

/** A write of the series that began with `seq`. */
export const write = (seq: number, over: Partial<Write> = {}, event: Partial<EventBody> = {}): Write => ({
  id: { origin, seq },
  upTo: seq,
  count: 1,
  first: 1_700_000_000_123_456,
  last: 1_700_000_000_123_456,
  event: body(event),
  ...over
})

/** The same series, `by` occurrences and seconds later. */
export const bump = (of: Write, by = 1): Write => ({
  ...of,
  upTo: of.upTo + by,
  count: of.count + by,
  last: of.last + by * 1_000_001
})
