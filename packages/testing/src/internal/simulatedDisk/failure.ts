/**
 * An error as the operating system reports it.
 *
 * @internal
 */
export const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })
