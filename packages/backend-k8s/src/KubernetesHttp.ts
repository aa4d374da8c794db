/**
 * Requests to the API server and its answers.
 *
 * @since 0.2.0
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/**
 * A request to the API server.
 *
 * @category models
 * @since 0.1.0
 */
export interface KubernetesRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** Path and query, beginning with `/`. */
  readonly path: string
  /** JSON text. */
  readonly body?: string | undefined
  /** Default: `application/json`. */
  readonly contentType?: string | undefined
  /** Default: `application/json`. */
  readonly accept?: string | undefined
}

/**
 * The response of the API server, whatever its status.
 *
 * @category models
 * @since 0.1.0
 */
export interface KubernetesResponse {
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Absent when the connection broke after the status line. The status holds all the same. */
  readonly body: string | undefined
}

/**
 * A response whose body is read as it arrives, such as that of a watch.
 *
 * @category models
 * @since 0.1.0
 */
export interface KubernetesStream {
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The whole body, for a response that ends. `undefined` when the connection broke before its end. */
  readonly text: Effect.Effect<string | undefined>
  readonly bytes: Stream.Stream<Uint8Array, BackendError>
}
