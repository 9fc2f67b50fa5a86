// The table that `npm run status` prints.
import { emptyPrefixes, type Scope } from "../scope";
import { aligned } from "../stack/operator";
import type { GroupStatus } from "./found";

const mostNamed = 10;

/**
 * The statuses as a table, and what they come to.
 *
 * @param others names of groups that are there, to choose a prefix by if no group has one
 */
export function tableOf(
    statuses: GroupStatus[],
    { asgPrefixes, electorateTag }: Pick<Scope, "asgPrefixes" | "electorateTag">,
    region: string,
    others: string[] = [],
): string {
    const head = ["group", "state", "wants", "in service", "leader", "since", "for", "an election now"];
    const rows = statuses.flatMap((status): string[][] => {
        const { group, state, desired, inService } = status;
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
    const named = `${others.slice(0, mostNamed).join(", ")}${others.length > mostNamed ? ", …" : ""}`;
    const there = others.length > 0 ? `Groups there: ${named}.` : "There is no group at all.";
    const empty = emptyPrefixes(asgPrefixes, statuses);
    return [
        ...(statuses.length > 0 ? found : []),
        ...empty.map((prefix) => `No group's name begins with ${prefix} in ${region}. ${there}`),
        "Elections that events alone would cause are not shown: a launch, a Spot warning, an instance that ends just now.",
        "",
    ].join("\n");
}

function electionWords({ election, state, reason }: GroupStatus): string {
    if (!election) {
        return state === "led" || state === "empty" ? "changes nothing" : `changes nothing: ${reason}`;
    }
    const { choose, because, demote, adopt } = election;
    const changes = [
        ...(choose ? [`chooses ${choose} (${because})`] : []),
        ...(demote.length > 0 ? [`takes the tag off ${demote.join(", ")}`] : []),
        ...(adopt ? [`gives ${adopt} a since`] : []),
    ];
    return `${changes.join(", ")}: ${reason}`;
}

function duration(seconds: number): string {
    const units: Record<string, number> = { d: 86_400, h: 3600, min: 60 };
    const [unit, size] = Object.entries(units).find(([, least]) => seconds >= least) ?? ["s", 1];
    return `${Math.floor(seconds / size)} ${unit}`;
}
