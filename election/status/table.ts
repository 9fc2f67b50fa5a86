// The table that `npm run status` prints.
import type { Scope } from "../scope";
import type { GroupStatus } from "./found";

/** The statuses as a table, and what they come to. */
export function tableOf(statuses: GroupStatus[], { asgPrefixes, electorateTag }: Scope, region: string): string {
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
    const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
    const table = [head, ...rows].map((row) =>
        row
            .map((cell, column) => cell.padEnd(widths[column]))
            .join("  ")
            .trimEnd(),
    );
    const count = (state: GroupStatus["state"]) => statuses.filter((status) => status.state === state).length;
    const what = electorateTag ? `groups, or electorates by ${electorateTag},` : "groups";
    const summary =
        statuses.length === 0
            ? [`No group's name begins with ${asgPrefixes.join(" or ")} in ${region}.`]
            : [
                  ...table,
                  "",
                  `${statuses.length} ${what} with the prefix ${asgPrefixes.join(" or ")} in ${region}: ` +
                      `${count("vacant")} vacant, ${count("contested")} contested, ${count("failed")} not read.`,
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
