// `npm run status`: what the function sees and would do now, from the operator's machine, with read rights only.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { chance } from "..";
import { type Aws, connect, withDeadline, within } from "../aws";
import { decide, type Instance, isEnding, isReady, leadersOf } from "../decide";
import { readLoad, readStatuses } from "../describe";
import { readBatch } from "../events";
import { emptyMemory, recall } from "../memory";
import { observe } from "../observe";
import { type Planned, planFor } from "../plan";
import { rank } from "../rank";
import type { Scope } from "../scope";
import { readSettings } from "./settings";

/** A group as it is now, and what an election would change in it. */
export interface GroupStatus {
    /** Name of the group, or of the electorate: key and value of its tag. */
    group: string;
    /** Names of an electorate's groups. */
    groups?: string[];
    /** vacant: it wants instances, and none leads; contested: several lead; failed: it could not be read. */
    state: "led" | "vacant" | "contested" | "empty" | "failed";
    /** How many instances it wants, and how many are in service and healthy. */
    desired?: number;
    inService?: number;
    /** Leaders that EC2 has not begun to end, the one that stays first. */
    leaders: { id: string; since?: string; forSeconds?: number }[];
    /** What an election would change; missing if it would change nothing. */
    election?: {
        outcome: string;
        /** Id of the instance that would be chosen. */
        choose?: string;
        /** Why it ranks first. */
        because?: string;
        /** Ids of the instances that would lose the tag. */
        demote: string[];
        /** Id of a leader that would get a `since`. */
        adopt?: string;
    };
    reason: string;
}

const project = join(__dirname, "..", "..");
const millisForAll = 60_000;
const mostChecked = 100;

/**
 * Looks at every group as a sweep does, and decides as a sweep does, but writes nothing.
 *
 * @param scope of the stack that looks after the groups, or will
 * @returns groups with a problem first, then by name
 */
export async function statusOf(scope: Scope): Promise<GroupStatus[]> {
    const aws = withDeadline(connect(), millisForAll);
    const memory = emptyMemory();
    const now = Date.now();
    const sweep = { source: "aws.events", "detail-type": "Scheduled Event", detail: {} };
    const batch = readBatch([JSON.stringify(sweep)], scope, now);
    const found: GroupStatus[] = [];
    for await (const observed of observe(aws, scope, batch)) {
        const round = recall(memory, observed, scope, now);
        const decided = round.groups.map((group) => ({ group, decision: decide(group, now) }));
        const ranked = await rank(aws, decided, scope.tagKey, now, chance);
        const planned = ranked.map((election) => ({ ...election, plan: planFor(election, now) }));
        const because = await whyFirst(aws, planned, now);
        found.push(...planned.map((election) => groupStatus(election, because, now)));
        const [unread] = round.unread;
        if (unread) {
            throw unread.error; // a table that lacks groups would look like all of them
        }
    }
    const isFine = ({ state }: GroupStatus) => state === "led" || state === "empty";
    return found.sort(
        (a, b) => Number(isFine(a)) - Number(isFine(b)) || (a.group < b.group ? -1 : a.group > b.group ? 1 : 0),
    );
}

function groupStatus({ group, plan }: Planned, because: Map<string, string>, now: number): GroupStatus {
    const leaders = leadersOf(group, now).filter((leader) => !isEnding(leader));
    const demote = [...plan.demote, ...plan.retire];
    const [choose] = plan.promote;
    const changes = choose !== undefined || demote.length > 0 || plan.adopt !== undefined;
    return {
        group: group.groups ? group.name.slice(1) : group.name,
        ...(group.groups ? { groups: group.groups } : {}),
        state: plan.outcome === "failed" ? "failed" : stateOf(leaders, group.desired),
        desired: group.desired,
        inService: group.instances.filter(isReady).length,
        leaders: leaders.map(({ id, since }) => ({ id, ...timesOf(since, now) })),
        ...(changes
            ? {
                  election: {
                      outcome: plan.outcome,
                      ...(choose ? { choose, because: because.get(choose) } : {}),
                      demote,
                      ...(plan.adopt ? { adopt: plan.adopt } : {}),
                  },
              }
            : {}),
        reason: plan.reason,
    };
}

function stateOf(leaders: Instance[], desired: number): GroupStatus["state"] {
    if (leaders.length > 1) {
        return "contested";
    }
    return leaders.length === 1 ? "led" : desired > 0 ? "vacant" : "empty";
}

function timesOf(since: string | undefined, now: number): { since?: string; forSeconds?: number } {
    const seconds = Math.floor((now - Date.parse(since ?? "")) / 1000);
    return { ...(since ? { since } : {}), ...(seconds >= 0 ? { forSeconds: seconds } : {}) };
}

/** What ranks the chosen instances first, in words, as far as it can be read. */
async function whyFirst(aws: Aws, planned: Planned[], now: number): Promise<Map<string, string>> {
    const chosen = planned.flatMap(({ plan }) => plan.promote.slice(0, 1)).slice(0, mostChecked);
    if (chosen.length === 0) {
        return new Map();
    }
    const [statuses, load] = await Promise.all([
        readStatuses(aws, chosen),
        readLoad(aws, chosen, { now, minutes: 15, signal: within(5000) }),
    ]);
    return new Map(
        chosen.map((id) => {
            const status = statuses.get(id);
            const checks = status && !(status instanceof Error) ? checkWords[status.checks] : undefined;
            const cpu = load.has(id) ? `CPU ${Math.round(load.get(id) as number)} %` : "CPU not known";
            return [id, `checks ${checks ?? "not known"}, ${cpu}`];
        }),
    );
}

const checkWords = ["ok", "not known yet", "impaired, or an event is scheduled"];

/** The statuses as a table, and what they come to. */
export function tableOf(statuses: GroupStatus[], { asgPrefix, electorateTag }: Scope, region: string): string {
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
            ? [`No group's name begins with ${asgPrefix} in ${region}.`]
            : [
                  ...table,
                  "",
                  `${statuses.length} ${what} with the prefix ${asgPrefix} in ${region}: ` +
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

const help = `Usage: npm run status -- [options]

Shows every group of a prefix with its leader, and what an election would change now. Reads only, and needs no
deployed stack. The settings are Pulumi.yaml's defaults unless an option says otherwise; credentials and region
are the AWS CLI's.

Options:
  --prefix PREFIX        groups whose names start with it
  --tag-key KEY          key of the leader's tag
  --electorate-tag KEY   key of the tag by whose value groups elect one leader together
  --region REGION        the AWS region
  --json                 print JSON
  -h, --help             this text

Exit status: 0 if all is well, 1 if a group is vacant or contested, 2 if an option is not allowed or AWS refuses.
`;

function optionsOf(args: string[]) {
    try {
        const text = { type: "string" } as const;
        const flag = { type: "boolean" } as const;
        const options = {
            prefix: text,
            "tag-key": text,
            "electorate-tag": text,
            region: text,
            json: flag,
            help: { ...flag, short: "h" },
        };
        const { values, tokens } = parseArgs({ args, options, tokens: true });
        const names = tokens.flatMap((token) => (token.kind === "option" ? [token.name] : []));
        const repeated = names.find((name, index) => names.indexOf(name) < index);
        if (repeated) {
            throw new Error(`Option '--${repeated}' is given twice.`);
        }
        return values;
    } catch (error) {
        const [firstSentence] = (error as Error).message.split(/\.?\s*(?:\n|\. |$)/);
        throw new Error(`${firstSentence}. See --help.`);
    }
}

/** The scope that Pulumi.yaml's defaults and the options name. */
function scopeOf(values: ReturnType<typeof optionsOf>): Scope {
    const { name, config } = parse(readFileSync(join(project, "Pulumi.yaml"), "utf8"));
    const texts: Record<string, string> = {};
    for (const [key, { default: value }] of Object.entries<{ default?: unknown }>(config)) {
        if (value !== undefined) {
            texts[`${name}:${key}`] = String(value);
        }
    }
    for (const [key, text] of [
        ["asgPrefix", values.prefix],
        ["tagKey", values["tag-key"]],
        ["electorateTag", values["electorate-tag"]],
    ]) {
        if (text !== undefined) {
            texts[`${name}:${key}`] = text;
        }
    }
    const { asgPrefix, tagKey, electorateTag, handoverSeconds } = readSettings(texts, name);
    return {
        stack: "status",
        asgPrefix,
        tagKey,
        electorateTag,
        handoverSeconds,
        protectLeader: false,
        dryRun: true,
    };
}

/** Prints what the command line asks for; gives the exit status. */
export async function main(
    args: string[],
    { stdout, stderr }: Record<"stdout" | "stderr", { write(text: string): unknown }> = process,
): Promise<number> {
    try {
        const values = optionsOf(args);
        if (values.help) {
            stdout.write(help);
            return 0;
        }
        const scope = scopeOf(values);
        if (values.region !== undefined) {
            process.env.AWS_REGION = values.region;
        }
        const region = await connect().ec2.config.region();
        const statuses = await statusOf(scope);
        stdout.write(values.json ? `${JSON.stringify(statuses, undefined, 2)}\n` : tableOf(statuses, scope, region));
        if (statuses.some(({ state }) => state === "failed")) {
            return 2;
        }
        return statuses.some(({ state }) => state === "vacant" || state === "contested") ? 1 : 0;
    } catch (error) {
        stderr.write(`${(error as Error).message}\n`);
        return 2;
    }
}

if (require.main === module) {
    main(process.argv.slice(2)).then((status) => {
        process.exitCode = status;
    });
}
