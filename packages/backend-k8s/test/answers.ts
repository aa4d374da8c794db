import type { KubernetesResponse } from "../src/KubernetesHttp.ts"

export const answer = (status: number, body: unknown, headers: Record<string, string> = {}): KubernetesResponse => ({
  status,
  headers,
  body: typeof body === "string" ? body : JSON.stringify(body)
})

/** An answer whose body is a `Status`, as API servers refuse requests. */
export const failure = (
  code: number,
  reason: string,
  message: string,
  details: { readonly [key: string]: unknown } = {},
  headers: Record<string, string> = {}
): KubernetesResponse =>
  answer(code, { kind: "Status", apiVersion: "v1", status: "Failure", message, reason, details, code }, headers)
