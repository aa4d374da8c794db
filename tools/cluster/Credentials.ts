/** The files by which the servers know their users, and the users their servers. */
import type { User } from "./Options.ts"

const ordinaryGroups = ["system:serviceaccounts"]

/** A line of the token file: token,user,uid,"groups" as CSV of Go, in which a quote inside quotes is doubled. */
export const tokenLine = (user: User, token: string): string =>
  [token, user.name, user.name, (user.groups ?? ordinaryGroups).join(",")]
    .map((field) => `"${field.replaceAll('"', '""')}"`)
    .join(",") + "\n"

/** A kubeconfig with a context for each user. */
export const kubeconfigText = (server: string, authority: Buffer, tokens: Readonly<Record<string, string>>): string => {
  // A JSON string is a YAML string.
  const names = Object.entries(tokens).map(([name, token]) => ({ name: JSON.stringify(name), token }))
  return [
    "apiVersion: v1",
    "kind: Config",
    "current-context: admin",
    "clusters:",
    "- name: tidings",
    "  cluster:",
    `    server: ${server}`,
    `    certificate-authority-data: ${authority.toString("base64")}`,
    "contexts:",
    ...names.flatMap(({ name }) => [`- name: ${name}`, "  context:", "    cluster: tidings", `    user: ${name}`]),
    "users:",
    ...names.flatMap(({ name, token }) => [`- name: ${name}`, "  user:", `    token: ${JSON.stringify(token)}`]),
    ""
  ].join("\n")
}
