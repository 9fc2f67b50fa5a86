import { groupKey, sinceKey } from "../scope";
import type { Settings } from "./settings";

/** A command of the AWS CLI that lists the live leaders of the stack's groups, quoted for any POSIX shell. */
export function listLeaders({ asgPrefixes, tagKey }: Settings, region: string): string {
    const filters = [
        { Name: `tag:${tagKey}`, Values: ["true", "True", "TRUE"] },
        { Name: `tag:${groupKey}`, Values: asgPrefixes.map((prefix) => `${prefix}*`) },
        { Name: "instance-state-name", Values: ["pending", "running", "stopping", "stopped"] },
    ];
    const tagValue = (key: string) => `Tags[?Key=='${key}'].Value | [0]`;
    const columns = [`group: ${tagValue(groupKey)}`, "leader: InstanceId", `since: ${tagValue(sinceKey(tagKey))}`];
    return [
        `aws ec2 describe-instances --region ${region}`,
        `--filters '${JSON.stringify(filters).replaceAll("'", "'\\''")}'`,
        `--query "Reservations[].Instances[].{${columns.join(", ")}}"`,
        "--output table",
    ].join(" ");
}
