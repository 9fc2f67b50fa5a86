// The table that `npm run status` prints.
import type { Scope } from "../scope";
import { aligned } from "../stack/operator";
import type { GroupStatus } from "./found";

type TableScope = Pick<Scope, "asgPrefixes" | "electorateTag">;

/** The prefixes that no group's name begins with. */
export function emptyPrefixes(statuses: GroupStatus[], { asgPrefixes }: TableScope): string[] {
    const names = statuses.flatMap(({ group, groups = [group] }) => groups);
    return asgPrefixes.filter((prefix) => !names.some((name) => name.startsWith(prefix)));
}

const mostNamed = 10;

/**
 * The statuses as a table, and what they come to.
 *
 * @param others names of groups that are there, to choose a prefix by if no group has one
 */
export function tableOf(statuses: GroupStatus[], scope: TableScope, region: string, others: string[] = []): string {
    const { asgPrefixes, electorateTag } = scope;
    const head = ["group", "state", "wants", "in service", "leader", "since", "for", "an election now"];
    const rows = statuses.flatMap((status): string[][] => {
        const { group, state, desired = "", inService = "" } = status;
        const leaders = status.leaders.length > 0 ? status.leaders : [{ id: "none" }];
        return leaders.map(({ id, since = "", forSeconds }: GroupStatus["leaders"][number], position) => [
            ...(position === 0 ? [group, state, String(desired), String(inService)] : ["", "", "", ""]),
            id,
            since,
            forSeconds === undefined ? "" : duration(forSeconds),
            position === 0 ? electionWords(status) : "",
        ]);
    });
    const count = (state: GroupStatus["state"]) => statuses.filter((status) => status.state === state).length;
    const what = electorateTag ? `groups, or electorates by ${electorateTag},` : "groups";
    const prefixes = asgPrefixes.length > 1 ? "one of the prefixes" : "the prefix";
    const found = [
        ...aligned([head, ...rows]),
        "",
        `${statuses.length} ${what} with ${prefixes} ${asgPrefixes.join(", ")} in ${region}: ` +
            `${count("vacant")} vacant, ${count("contested")} contested, ${count("failed")} not read.`,
    ];
    const more = others.length > mostNamed ? ", …" : "";
    const there = others.length > 0 ? ` Groups there: ${others.slice(0, mostNamed).join(", ")}${more}.` : "";
    const summary = [
        ...(statuses.length > 0 ? found : []),
        ...emptyPrefixes(statuses, scope).map(
            (prefix) => `No group's name begins with ${prefix} in ${region}.${there || " There is no group at all."}`,
        ),
    ];
    return [
        ...summary,
        "Elections that events alone would cause are not shown: a launch, a Spot warning, an instance that ends just now.",
        "",
    ].join("\n");
}

function electionWords({ election, state, reason }: GroupStatus): string {
    if (!election) {
        return state === "led" || state === "empty" ? "changes nothing" : `changes nothing: ${reason}`;
    }
    const { choose, because, demote, adopt } = election;
    return [
        ...(choose ? [`chooses ${choose} (${because})`] : []),
        ...(demote.length > 0 ? [`takes the tag off ${demote.join(", ")}`] : []),
        ...(adopt ? [`gives ${adopt} a since`] : []),
    ]
        .join(", ")
        .concat(`: ${reason}`);
}

function duration(seconds: number): string {
    const units: [number, string][] = [
        [86_400, "d"],
        [3600, "h"],
        [60, "min"],
    ];
    const [size, unit] = units.find(([least]) => seconds >= least) ?? [1, "s"];
    return `${Math.floor(seconds / size)} ${unit}`;
}
