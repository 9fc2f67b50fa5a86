// `npm run status`: what the function sees and would do now, from the operator's machine: the command line.
import { connect } from "../aws/clients";
import { deadlineOf } from "../aws/deadline";
import { emptyPrefixes } from "../scope";
import { explained, parseOptions, prepareSdk } from "../stack/operator";
import { settingsOfStack } from "../stack/stack-file";
import { groupsThere, statusOf } from "./found";
import { tableOf } from "./table";

const help = `Usage: npm run status -- [options]

Shows every group of a stack's prefixes with its leader, and what an election would change now. Reads only, and needs
no deployed stack. The settings are those of the stack's file Pulumi.NAME.yaml, or else Pulumi.yaml's defaults, unless
an option says otherwise; credentials and region are the AWS CLI's.

Options:
  --stack NAME           the stack whose settings count
  --prefix PREFIX        groups whose names start with it; several prefixes in quotes, with spaces between them
  --tag-key KEY          key of the leader's tag
  --electorate-tag KEY   key of the tag by whose value groups elect one leader together
  --region REGION        the AWS region
  --json                 print JSON
  -h, --help             this text

Exit status: 0 if all is well, 1 if a group is vacant or contested or a prefix has no group, 2 if an option is not
allowed or AWS refuses.
`;

const text = { type: "string" } as const;
const options = {
    stack: text,
    prefix: text,
    "tag-key": text,
    "electorate-tag": text,
    region: text,
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
} as const;

/** Prints what the command line asks for; gives the exit status. */
export async function main(
    args: string[],
    { stdout, stderr }: Record<"stdout" | "stderr", { write(text: string): unknown }> = process,
): Promise<number> {
    try {
        const values = parseOptions(args, options);
        if (values.help) {
            stdout.write(help);
            return 0;
        }
        const { prefix: asgPrefix, "tag-key": tagKey, "electorate-tag": electorateTag } = values;
        const settings = settingsOfStack(values.stack, { over: { asgPrefix, tagKey, electorateTag } });
        prepareSdk(values.region ?? settings.region, settings.profile);
        const scope = { ...settings, stack: "status" };
        const end = Date.now() + 60_000;
        const deadline = deadlineOf(() => end - Date.now());
        const aws = connect()(scope, deadline);
        const region = await aws.ec2.config.region();
        const statuses = await statusOf(aws);
        const isEmpty = emptyPrefixes(scope.asgPrefixes, statuses).length > 0;
        const others = isEmpty ? await groupsThere(aws) : [];
        const json = `${JSON.stringify(statuses, undefined, 2)}\n`;
        stdout.write(values.json ? json : tableOf(statuses, scope, region, others));
        const states = statuses.map(({ state }) => state);
        if (states.includes("failed")) {
            return 2;
        }
        return isEmpty || states.includes("vacant") || states.includes("contested") ? 1 : 0;
    } catch (error) {
        stderr.write(`${explained(error)}\n`);
        return 2;
    }
}

if (require.main === module) {
    main(process.argv.slice(2)).then((status) => {
        process.exitCode = status;
    });
}
