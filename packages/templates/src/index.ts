/**
 * Durations in the text form of Go.
 */
export * as GoDuration from "./GoDuration.ts"
/**
 * Compiles and renders message templates.
 */
export * as MessageTemplate from "./MessageTemplate.ts"
/**
 * Suggestions for misspelt words.
 */
export * as Suggestion from "./Suggestion.ts"
/**
 * Checks literal templates at compile time.
 */
export * as TemplateCheck from "./TemplateCheck.ts"
/**
 * The error of a template.
 */
export * as TemplateError from "./TemplateError.ts"
/**
 * The fields that a template may name.
 */
export * as TemplateFields from "./TemplateFields.ts"
/**
 * Limits for the size of a template.
 */
export * as TemplateLimits from "./TemplateLimits.ts"
/**
 * The syntax tree of a template.
 */
export * as TemplateSyntax from "./TemplateSyntax.ts"
