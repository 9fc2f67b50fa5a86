// The command line of `npm run trial`.
import { parseOptions } from "../stack/operator";
import { plays } from "./plays";

export const help = `Usage: npm run trial -- --stack NAME [options]

Makes a small Auto Scaling group in your account, takes its leader away in ${plays.length} ways, measures how long the
deployed stack takes to elect another one, and deletes what it made. It takes about ten minutes and costs some cents.
It says what it will make, and asks before it does.

Options:
  --stack NAME      the deployed stack: its settings are read from Pulumi.NAME.yaml
  --region REGION   the AWS region, if not the stack's aws:region or the environment's
  --type TYPE       the instances' type; t4g.nano if not given
  --subnet ID       a subnet for them, may be repeated; those of the default VPC if not given
  --only NAME       play only this one, may be repeated: ${plays.map(({ name }) => name).join(", ")}
  --keep            delete nothing in the end; the next run offers to
  --yes             don't ask; of earlier runs delete only what its tag says may be deleted
  --json            print the report as JSON
  -h, --help        this text

Exit status: 0 if everything was as promised, 1 if not, 2 if it could not be tried.
`;

export interface Options {
    stack: string;
    region?: string;
    type: string;
    subnets: string[];
    only: string[];
    keep: boolean;
    yes: boolean;
    json: boolean;
    help: boolean;
}

/**
 * Reads the command line.
 *
 * @throws an error of one sentence that names what is not allowed
 */
export function optionsOf(args: string[]): Options {
    const values = parseOptions(args, known);
    const { region, type = "t4g.nano", subnet: subnets = [], only = [] } = values;
    const { stack = "", keep = false, yes = false, json = false, help = false } = values;
    if (stack === "" && !help) {
        throw new Error("Option '--stack' is missing. See --help.");
    }
    check("region", region ? [region] : [], /^[a-z]{2,}(-[a-z]+)+-\d+$/, "a region like us-east-1");
    check("type", [type], /^[a-z0-9-]+\.[a-z0-9-]+$/, "an instance type like t4g.nano");
    check("subnet", subnets, /^subnet-[0-9a-f]{8,17}$/, "the id of a subnet");
    const names = plays.map(({ name }) => name);
    check("only", only, new RegExp(`^(${names.join("|")})$`), `one of ${names.join(", ")}`);
    return { stack, region, type, subnets, only, keep, yes, json, help };
}

function check(option: string, values: string[], allowed: RegExp, rule: string): void {
    const bad = values.find((value) => !allowed.test(value));
    if (bad !== undefined) {
        throw new Error(`Option '--${option}' is ${JSON.stringify(bad)}, but it must be ${rule}.`);
    }
}

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const known = {
    stack: text,
    region: text,
    type: text,
    subnet: { ...text, multiple: true } as const,
    only: { ...text, multiple: true } as const,
    keep: flag,
    yes: flag,
    json: flag,
    help: { ...flag, short: "h" },
};
