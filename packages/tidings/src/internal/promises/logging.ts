/**
 * Where what the library says goes in a host without Effect: never to stdout, unless the host's own logger puts it there.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { inspect } from "node:util"
import type * as Promised from "../../Promised.ts"

const methodOf = (level: LogLevel.LogLevel): "debug" | "info" | "warn" | "error" => {
  switch (level) {
    case "Fatal":
    case "Error":
      return "error"
    case "Warn":
      return "warn"
    case "Debug":
    case "Trace":
      return "debug"
    default:
      return "info"
  }
}

const textOf = (part: unknown): string => (typeof part === "string" ? part : inspect(part))

const to = (logger: Promised.Logger): Logger.Logger<unknown, void> =>
  Logger.make(({ cause, fiber, logLevel, message }) => {
    const parts = (Array.isArray(message) ? message : [message]).map(textOf)
    for (const [key, value] of Object.entries(fiber.getRef(References.CurrentLogAnnotations))) {
      parts.push(`${key}=${textOf(value)}`)
    }
    if (cause.reasons.length > 0) parts.push(Cause.pretty(cause))
    try {
      // As a method, because loggers look for what they are.
      logger[methodOf(logLevel)]?.(parts.join(" "))
    } catch {
      // A logger that throws must not end a delivery.
    }
  })

const stderr = Logger.withConsoleError(Logger.formatLogFmt)

/** @internal */
export const layer = (logger: Promised.Logger | false | undefined): Layer.Layer<never> =>
  Logger.layer(logger === false ? [] : [logger === undefined ? stderr : to(logger)])
