/** A kubeconfig for the server, as a text. */
import * as certificates from "./certificates.ts"

const certificateUser = "certificate"

/** With a context per user, under their names. @internal */
export const kubeconfigText = (url: string, tokens: ReadonlyMap<string, string>): string => {
  const base64 = (text: string): string => Buffer.from(text).toString("base64")
  // A JSON string is a YAML string.
  const names = [...tokens.keys(), certificateUser].map((name) => JSON.stringify(name))
  return [
    "apiVersion: v1",
    "kind: Config",
    "current-context: admin",
    "clusters:",
    "- name: tidings",
    "  cluster:",
    `    server: ${url}`,
    `    certificate-authority-data: ${base64(certificates.authority)}`,
    "contexts:",
    ...names.flatMap((name) => [`- name: ${name}`, "  context:", "    cluster: tidings", `    user: ${name}`]),
    "users:",
    ...[...tokens].flatMap(([name, token]) => [
      `- name: ${JSON.stringify(name)}`,
      "  user:",
      `    token: ${JSON.stringify(token)}`
    ]),
    `- name: ${certificateUser}`,
    "  user:",
    `    client-certificate-data: ${base64(certificates.clientCertificate)}`,
    `    client-key-data: ${base64(certificates.clientKey)}`,
    ""
  ].join("\n")
}
