import type { EventBody } from "../Event.ts"

/**
 * Without the time, which an occurrence has beside its body; what is written has times of its own. Field by field, which
 * costs a third of spreading.
 *
 * @internal
 */
export const bodyOf = (occurrence: EventBody, message: string): EventBody => {
  const {
    action,
    data,
    involvedObject,
    labels,
    reason,
    related,
    reportingController,
    reportingInstance,
    source,
    type
  } = occurrence
  const body = { involvedObject, reason, type, action, message, data, source, reportingController, reportingInstance }
  return related === undefined && labels === undefined
    ? body
    : {
        ...body,
        ...(related === undefined ? undefined : { related }),
        ...(labels === undefined ? undefined : { labels })
      }
}
