/**
 * Holds back events that report a state which was reported already: the option `onlyTransitions`.
 *
 * Invariants:
 *
 * - What is remembered is bounded: for each transition, the objects that reported last.
 * - In doubt an event passes: what was forgotten, or could not be recorded, is recorded once more.
 *
 * It belongs to one recorder, and reads the time from its clock alone, by arrival: the time that a caller gives an event may
 * lie anywhere.
 *
 * @internal
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type { Occurrence } from "../Event.ts"
import type { Issue } from "../InvalidEvent.ts"
import type { ObjectReference } from "../ObjectReference.ts"
import * as timeout from "../Timeout.ts"
import { builtIn, type Transition } from "../Transition.ts"
import * as acceptance from "./acceptance.ts"
import * as names from "./names.ts"
import * as text from "./text.ts"

/** As many objects as client-go's correlator remembers. */
const MAXIMUM_OBJECTS = 4_096

interface State {
  readonly reason: string
  readonly uid: string | undefined
  readonly recordedAt: number
  reportedAt: number
}

interface Gate {
  readonly name: string
  readonly quietAfter: number
  readonly remindAfter: number
  /** By object, the one that reported last at the end. */
  readonly states: Map<string, State>
}

/** What an event with a reason does: it reports a state of one transition, and ends those of others. */
interface Role {
  reports: Gate | undefined
  readonly ends: Array<Gate>
}

/** @internal */
export class TransitionGate {
  private readonly clock: Clock.Clock
  private readonly roles = new Map<string, Role>()
  /** The states that events on their way to the journal or the store have set. */
  private readonly passed = new WeakMap<
    Occurrence,
    { readonly gate: Gate; readonly key: string; readonly state: State }
  >()

  constructor(transitions: ReadonlyArray<Transition>, clock: Clock.Clock) {
    this.clock = clock
    for (const { endedBy = [], name, quietAfter, remindAfter, states } of transitions) {
      const gate: Gate = { name, quietAfter: millis(quietAfter), remindAfter: millis(remindAfter), states: new Map() }
      for (const reason of states) this.role(reason).reports = gate
      for (const reason of endedBy) this.role(reason).ends.push(gate)
    }
  }

  private role(reason: string): Role {
    let role = this.roles.get(reason)
    if (role === undefined) this.roles.set(reason, (role = { reports: undefined, ends: [] }))
    return role
  }

  /** The name of the transition that holds the event back; `undefined` where it passes. */
  hold(occurrence: Occurrence): string | undefined {
    const role = this.roles.get(occurrence.reason)
    if (role === undefined) return undefined
    const { involvedObject, reason } = occurrence
    const key = keyOf(involvedObject)
    for (const { states } of role.ends) states.delete(key)
    const gate = role.reports
    if (gate === undefined) return undefined
    const now = this.clock.currentTimeMillisUnsafe()
    const { states } = gate
    const { uid } = involvedObject
    const before = states.get(key)
    states.delete(key)
    if (before !== undefined && lasts(before, gate, reason, uid, now)) {
      before.reportedAt = now
      states.set(key, before)
      return gate.name
    }
    if (states.size >= MAXIMUM_OBJECTS) states.delete(states.keys().next().value!)
    const state: State = { reason, uid, recordedAt: now, reportedAt: now }
    states.set(key, state)
    this.passed.set(occurrence, { gate, key, state })
    return undefined
  }

  /** For an event that passed and was then not recorded: the next one of its kind passes. */
  retract(occurrence: Occurrence): void {
    const passed = this.passed.get(occurrence)
    if (passed === undefined) return
    const { gate, key, state } = passed
    if (gate.states.get(key) === state) gate.states.delete(key)
  }
}

const millis = (duration: Duration.Input | undefined): number =>
  duration === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(duration)

/** Newlines are in none of these texts. */
const keyOf = ({ kind, name, namespace = "" }: ObjectReference): string => `${kind}\n${namespace}\n${name}`

/** Whether a report says nothing new. An object with another uid is another object. */
const lasts = (before: State, gate: Gate, reason: string, uid: string | undefined, now: number): boolean =>
  before.reason === reason &&
  (before.uid === uid || before.uid === undefined || uid === undefined) &&
  now - before.reportedAt < gate.quietAfter &&
  now - before.recordedAt < gate.remindAfter

// ---------------------------------------------------------------------------
// reading the option
// ---------------------------------------------------------------------------

/**
 * The transitions that the option means. What is wrong in it is added to the issues.
 *
 * @internal
 */
export const read = (issues: Array<Issue>, given: unknown): ReadonlyArray<Transition> => {
  try {
    return readOption(issues, given)
  } catch (thrown) {
    issues.push(acceptance.unreadable("onlyTransitions", thrown))
    return []
  }
}

const readOption = (issues: Array<Issue>, given: unknown): ReadonlyArray<Transition> => {
  if (given === undefined || given === false) return []
  if (given === true) return builtIn
  const refuse = (path: string, found: unknown, expected: string) => {
    issues.push({ field: `onlyTransitions${path}`, found: text.show(found), expected })
  }
  if (!Array.isArray(given)) {
    refuse("", given, "true, false, or a list of transitions")
    return []
  }
  const taken = new Set<string>()
  const reported = new Set<string>()
  for (const [index, transition] of (given as ReadonlyArray<unknown>).entries()) {
    const path = `[${index}]`
    if (typeof transition !== "object" || transition === null || Array.isArray(transition)) {
      refuse(path, transition, "a transition: an object with name and states")
      continue
    }
    const { endedBy, name, quietAfter, remindAfter, states } = transition as Readonly<Record<string, unknown>>
    if (typeof name !== "string" || name === "") refuse(`${path}.name`, name, "a text that is not empty")
    else if (taken.has(name)) refuse(`${path}.name`, name, "a name of its own")
    else taken.add(name)
    if (!isReasons(states) || states.length === 0) refuse(`${path}.states`, states, "a list of one reason or more")
    else {
      for (const reason of states) {
        if (reported.has(reason)) refuse(`${path}.states`, reason, "reasons that no other transition has as a state")
        reported.add(reason)
      }
    }
    if (endedBy !== undefined && !isReasons(endedBy)) refuse(`${path}.endedBy`, endedBy, "a list of reasons")
    else if (isReasons(states)) {
      const both = endedBy?.find((reason) => states.includes(reason))
      if (both !== undefined) refuse(`${path}.endedBy`, both, "reasons that are not states of the same transition")
    }
    for (const [field, found] of Object.entries({ quietAfter, remindAfter })) {
      if (found !== undefined && timeout.read(found) === undefined) refuse(`${path}.${field}`, found, timeout.EXPECTED)
    }
  }
  return given as ReadonlyArray<Transition>
}

const isReasons = (given: unknown): given is ReadonlyArray<string> =>
  Array.isArray(given) && given.every((reason) => typeof reason === "string" && names.isReason(reason))
