// Patterns of events, and of texts in filters and policies.
type Json = null | boolean | number | string | Json[] | { [field: string]: Json };
type Fields = { [field: string]: Json };

/**
 * Whether EventBridge would hand an event to a rule with this pattern.
 *
 * @throws if the pattern has something other than nested fields, lists of literals, prefix and exists, whatever the event
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
 */
export const matches = (pattern: object, event: object): boolean => matchesFields(pattern as Fields, event as Fields);

// Nothing here stops at the first mismatch: what isn't known is to be found with every event.
function matchesFields(pattern: Fields, event: Fields): boolean {
    return Object.entries(pattern)
        .map(([field, wanted]) => matchesField(wanted, event[field]))
        .every((fits) => fits);
}

function matchesField(wanted: Json, found: Json | undefined): boolean {
    const values = found === undefined ? [] : elements(found);
    if (isFields(wanted)) {
        // A field that isn't there has no fields; of a list of objects, one must have all that is wanted.
        const objects = values.filter(isFields);
        return (objects.length > 0 ? objects : [{}]).map((each) => matchesFields(wanted, each)).some((fits) => fits);
    }
    if (!Array.isArray(wanted) || wanted.length === 0) {
        throw new Error(`a field's values are a list, not ${JSON.stringify(wanted)}`);
    }
    const scalars = values.filter((value) => !isFields(value));
    return wanted.map((one) => matchesOne(one, scalars)).some((fits) => fits);
}

function matchesOne(wanted: Json, values: Json[]): boolean {
    if (wanted === null || typeof wanted !== "object") {
        return values.includes(wanted);
    }
    if (isFields(wanted) && Object.keys(wanted).length === 1) {
        const { prefix, exists } = wanted;
        if (typeof prefix === "string") {
            return values.some((value) => typeof value === "string" && value.startsWith(prefix));
        }
        if (typeof exists === "boolean") {
            return exists === values.length > 0;
        }
    }
    throw new Error(`not known here: ${JSON.stringify(wanted)}`);
}

const elements = (value: Json): Json[] => (Array.isArray(value) ? value.flatMap(elements) : [value]);

const isFields = (value: Json): value is Fields => value !== null && typeof value === "object" && !Array.isArray(value);

/** A text in which * is anything and ? is one character; a backslash takes the next one literally. */
export function wildcard(pattern: string): RegExp {
    const parts = pattern.match(/\\.|[^\\]|\\$/gs) ?? [];
    const source = parts.map((part) =>
        part === "*" ? ".*" : part === "?" ? "." : part.slice(-1).replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
    );
    return new RegExp(`^${source.join("")}$`, "s");
}
