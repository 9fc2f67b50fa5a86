// `npm run status`: what the function sees and would do now, from the operator's machine: the command line.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { connect } from "../aws/clients";
import { deadlineOf } from "../aws/deadline";
import type { Scope } from "../scope";
import { readSettings } from "../stack/settings";
import { statusOf } from "./found";
import { tableOf } from "./table";

const project = join(__dirname, "..", "..");

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
    const { asgPrefixes, tagKey, electorateTag, handoverSeconds } = readSettings(texts, name);
    return {
        stack: "status",
        asgPrefixes,
        tagKey,
        electorateTag,
        handoverSeconds,
        protectLeader: false,
        dryRun: true,
        changeTopicArn: "",
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
        const region = await connect()(
            scope,
            deadlineOf(() => 0),
        ).ec2.config.region();
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
