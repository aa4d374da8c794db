/**
 * Where the methods of a catalogue are found in a manager. The type is `Promised.CatalogueName`.
 *
 * @internal
 */
export const catalogueName = (id: string): string =>
  id.slice(id.lastIndexOf("/") + 1).replace(/^(?:[A-Z]+(?![a-z])|[A-Z])/, (start) => start.toLowerCase())
