/** One request on a connection of its own. */
import type * as http from "node:http"

/** A request to the API server. */
export interface RequestOptions {
  /** Default: GET. */
  readonly method?: string | undefined
  /** Name of a user. Default: `admin`. */
  readonly user?: string | undefined
  /** Text goes as it is, anything else as JSON. */
  readonly body?: unknown
  /** Default: `application/json`. */
  readonly contentType?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Ends the request. */
  readonly signal?: AbortSignal | undefined
}

/** The answer of the API server. */
export interface Response {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  /** The body parsed; throws where it is not JSON. */
  readonly json: () => unknown
}

/** Sends a request with its body, and reads the answer. */
export const exchange = (request: http.ClientRequest, body: string | undefined): Promise<Response> =>
  new Promise((resolve, reject) => {
    request.once("error", reject)
    request.once("response", (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("error", reject)
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => {
            const parsed: unknown = JSON.parse(text)
            return parsed
          }
        })
      })
    })
    request.end(body)
  })
