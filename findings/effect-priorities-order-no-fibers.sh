#!/usr/bin/env bash
# effect 4.1.0: the priority of `Effect.yieldNowWith` orders nothing between fibers: each fiber has a dispatcher of its own.
#
# `SchedulerDispatcher` says that lower numbers run first, and `yieldNowWith` that other fibers may run, so a fiber that yields with
# a priority of 100 is expected to let those that yield with 0 run before it, as in Effect 3.19.3, whose scheduler has one
# queue for all. Seen: `Fiber.currentDispatcher` is made for each fiber and not handed on to the fibers that it forks, and each dispatcher
# schedules its own `setImmediate`. So two fibers run in the order in which they yielded, whatever they ask for. Only tasks that are
# given to the dispatcher of the same fiber are ordered, the lower number first, although the example of `yieldNowWith` calls
# 10 a "higher priority".
#
# Why it matters: background work (an index, a flush, a compaction) that yields with a low priority, so as to stay behind requests,
# takes as many turns as they do. It has to hold itself back, by a pause or by how much it does in a turn.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0 effect3@npm:effect@3.19.3
cat >run.mjs <<'PROGRAM'
import * as Effect from "effect/Effect"
import { Effect as Effect3 } from "effect3"

const inEffect3 = []
const step3 = (priority) =>
  Effect3.zipRight(Effect3.yieldNow({ priority }), Effect3.sync(() => inEffect3.push(priority)))
await Effect3.runPromise(Effect3.all([step3(100), step3(10), step3(0)], { concurrency: "unbounded", discard: true }))

const between = []
const step = (priority) =>
  Effect.andThen(Effect.yieldNowWith(priority), Effect.sync(() => between.push(priority)))
await Effect.runPromise(Effect.all([step(100), step(10), step(0)], { concurrency: "unbounded", discard: true }))

const within = []
await Effect.runPromise(
  Effect.callback((resume) => {
    Effect.runFork(
      Effect.withFiber((fiber) => {
        for (const priority of [100, 10, 0]) {
          fiber.currentDispatcher.scheduleTask(() => within.push(priority), priority)
        }
        fiber.currentDispatcher.scheduleTask(() => resume(Effect.void), 1_000)
        return Effect.void
      })
    )
  })
)

// What background work of a low priority gets beside requests of a high one.
let turns = 0
let requests = 0
const background = Effect.forever(Effect.andThen(Effect.yieldNowWith(100), Effect.sync(() => turns++)))
const request = Effect.forever(Effect.andThen(Effect.yieldNowWith(0), Effect.sync(() => requests++)))
await Effect.runPromise(Effect.timeoutOption(Effect.all([request, background], { concurrency: 2 }), "200 millis"))
const share = turns / requests > 0.9 ? "as many" : "fewer"
console.log(JSON.stringify({ inEffect3, between, within, background: share }))
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"inEffect3":[0,10,100],"between":[100,10,0],"within":[0,10,100],"background":"as many"}'
echo "effect 4.1.0, in which order tasks of the priorities 100, 10 and 0 run: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
