// Runs a saved query of CloudWatch Logs Insights over log lines: only the commands and functions that the stack's queries use.

type Record = { [field: string]: unknown };

/**
 * The rows that a query gives. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
 *
 * @param lines what Lambda writes to the log group: JSON with the function's own object under `message`
 * @throws if the query has anything that is not known here
 */
export function runQuery(query: string, lines: string[]): Record[] {
    let rows: Record[] = lines.map((line) => ({ "@message": line, "@timestamp": JSON.parse(line).timestamp }));
    const commands = query.split("\n").filter((line) => !line.startsWith("#"));
    for (const [index, command] of commands.entries()) {
        const [, pipe = "", name = "", rest = ""] = command.match(/^(\| )?(\w+) (.*)$/) ?? [];
        if ((pipe === "") !== (index === 0)) {
            throw new Error(`no command, or no pipe before it: ${command}`);
        }
        rows = run(name, rest, rows);
    }
    return rows.map(({ "@message": _, ...row }) => row);
}

function run(name: string, rest: string, rows: Record[]): Record[] {
    switch (name) {
        case "fields": {
            const shownOf = (row: Record) => rest.split(", ").map((field) => [field, fieldOf(row, field)]);
            return rows.map((row) => ({ ...row, ...Object.fromEntries(shownOf(row)) }));
        }
        case "limit":
            return rows.slice(0, Number(rest));
        case "filter":
            return rows.filter((row) => holds(rest, row));
        case "parse": {
            const pattern = new RegExp(rest.match(/^@message \/(.*)\/$/)?.[1] ?? "$.");
            return rows.map((row) => {
                const found = Object.entries(String(row["@message"]).match(pattern)?.groups ?? {});
                return { ...row, ...Object.fromEntries(found.filter(([, value]) => value !== undefined)) };
            });
        }
        case "stats": {
            const [, columns = "", by = ""] = rest.match(/^(.*) by (.*)$/) ?? [];
            const keys = by.split(", ");
            const groups = new Map<string, Record[]>();
            for (const row of rows) {
                const key = JSON.stringify(keys.map((field) => fieldOf(row, field)));
                groups.set(key, [...(groups.get(key) ?? []), row]);
            }
            const results = columns.split(/, (?=[^()]*(?:\(|$))/).map((column) => column.split(" as "));
            return [...groups].map(([values, members]) =>
                Object.fromEntries([
                    ...keys.map((field, position) => [field, JSON.parse(values)[position]]),
                    ...results.map(([expression = "", alias]) => [alias, aggregate(expression, members)]),
                ]),
            );
        }
        case "sort": {
            const [, field = ""] = rest.match(/^(\S+) desc$/) ?? [];
            const keyOf = (row: Record) => row[field] as number; // or texts, which compare as well
            return rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1));
        }
        default:
            throw new Error(`a command not known here: ${name}`);
    }
}

function holds(conditions: string, row: Record): boolean {
    const truths = conditions
        .replaceAll(/ispresent\(([^)]+)\)/g, (_, field) => String(fieldOf(row, field) !== undefined))
        .replaceAll(/([\w.@]+) = "([^"]*)"/g, (_, field, text) => String(fieldOf(row, field) === text));
    if (!/^(true|false|and|or|not|[() ])+$/.test(truths)) {
        throw new Error(`a condition not known here: ${conditions}`);
    }
    return new Function(`return ${truths.replaceAll("and", "&&").replaceAll("or", "||").replaceAll("not", "!")}`)();
}

/** A sum, a count or another statistic of rows, and arithmetic of these. */
function aggregate(expression: string, rows: Record[]): unknown {
    const [, of, field = ""] = expression.match(/^(min|max|latest)\((\S+)\)$/) ?? [];
    if (of) {
        const ordered = [...rows].sort((a, b) => (String(a["@timestamp"]) < String(b["@timestamp"]) ? -1 : 1));
        return fieldOf(ordered.at(of === "min" ? 0 : -1) as Record, field);
    }
    const numbers = expression.replaceAll(/(count|sum)\((\S+?)\)/g, (_, name, field) => {
        const values = field === "*" ? rows : rows.flatMap((row) => fieldOf(row, field) ?? []);
        return String(name === "count" ? values.length : values.reduce<number>((sum, value) => sum + Number(value), 0));
    });
    if (!/^[\d.()+*/ ]+$/.test(numbers)) {
        throw new Error(`an expression not known here: ${expression}`);
    }
    return new Function(`return ${numbers}`)();
}

/** A field: one that a command made, or one that Insights discovers in the line. */
function fieldOf(row: Record, field: string): unknown {
    if (field in row) {
        return row[field];
    }
    // biome-ignore lint/suspicious/noExplicitAny: any JSON
    return field.split(".").reduce((value: any, key) => value?.[key], JSON.parse(String(row["@message"])));
}
