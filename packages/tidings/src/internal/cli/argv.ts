/**
 * What a user may write and the parser does not read: `-ojson`, `-nteam-a`, `--since -1h`, `help list`.
 *
 * @internal
 */

/**
 * The first argument of a command line with which a shell asks for completions.
 *
 * @internal
 */
export const VERB = "__complete"

/** The short flags that take a value. */
const ATTACHED = /^-([onl])(?!=)(.+)$/s
/** Flags whose value may begin with a minus sign before a digit. */
const SIGNED = new Set(["--since", "--until", "--at", "--before", "--timeout"])
/** Flags whose value may begin with a minus sign: a text of messages. What could be a flag of one letter stays one. */
const TEXTS = new Set(["--grep", "--exclude"])
const isText = (value: string): boolean =>
  /^-(?:\d|[^-].)/s.test(value) && !ATTACHED.test(value) && !/^-[A-Za-z]=/.test(value)

/** @internal */
export const normalise = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (argv[0] === "help") return [...argv.slice(1), "--help"]
  const out: Array<string> = []
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!
    if (argument === "--") return [...out, ...argv.slice(index)]
    const attached = ATTACHED.exec(argument)
    const next = argv[index + 1]
    if (attached !== null) out.push(`-${attached[1]!}`, attached[2]!)
    else if (
      next !== undefined &&
      ((SIGNED.has(argument) && /^-\d/.test(next)) || (TEXTS.has(argument) && isText(next)))
    ) {
      out.push(`${argument}=${next}`)
      index++
    } else out.push(argument)
  }
  return out
}
