/**
 * Durations as Go writes and reads them.
 */
export * as GoDuration from "./GoDuration.ts"
/**
 * Compiles and renders message templates.
 */
export * as MessageTemplate from "./MessageTemplate.ts"
/**
 * Finds the known word that somebody meant.
 */
export * as Suggestion from "./Suggestion.ts"
/**
 * Checks literal templates at compile time.
 */
export * as TemplateCheck from "./TemplateCheck.ts"
/**
 * What is wrong with a template, and where.
 */
export * as TemplateError from "./TemplateError.ts"
/**
 * What a template may name.
 */
export * as TemplateFields from "./TemplateFields.ts"
/**
 * How large a template may be.
 */
export * as TemplateLimits from "./TemplateLimits.ts"
/**
 * The syntax tree of a template.
 */
export * as TemplateSyntax from "./TemplateSyntax.ts"
