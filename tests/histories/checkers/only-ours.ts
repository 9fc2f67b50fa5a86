// The function touches nothing that is not the stack's, writes its tags in four forms, and needs no more than its policy allows.
import type { Call } from "../../simulator/aws/faults";
import { allows, requestsIn, rolePolicyOf } from "../../simulator/aws/iam";
import { groupKey } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import { isOurs } from "../../simulator/electorates";
import { firstOf } from "../../simulator/lists";
import { accountId, type Program } from "../../simulator/stack/program";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import type { Sight } from "./model";

/** What a write of tags is for. */
type Writing = "promotion" | "giving back" | "adoption" | "demotion" | "stripping";

/** What a call that writes tags is for; undefined if it writes anything else. */
export function writingOf({ action, input }: Call, tagKey: string): Writing | undefined {
    const tags: { Key: string; Value?: string }[] = input.Tags ?? [];
    const keys = tags.map(({ Key }) => Key).join();
    const sinceKey = `${tagKey}:since`;
    const since = tags.find(({ Key }) => Key === sinceKey)?.Value ?? "";
    if (action === "ec2:DeleteTags") {
        return keys === tagKey ? "demotion" : keys === `${tagKey},${sinceKey}` ? "stripping" : undefined;
    }
    const leads = tags.some(({ Key, Value }) => Key === tagKey && Value === "true");
    const isDated = !Number.isNaN(Date.parse(since)) && new Date(since).toISOString() === since;
    if (keys === tagKey && leads) {
        return "giving back";
    }
    if (keys === sinceKey && isDated) {
        return "adoption";
    }
    return keys === `${tagKey},${sinceKey}` && leads && isDated ? "promotion" : undefined;
}

/** Looks at the tags of every write, and at the groups of its instances. */
export function onlyOurs(evidence: Evidence, note: Note): Checker {
    const { tagKey, electorateTag, exact } = evidence.expect;
    const isForeign = (group: string | undefined) => group !== undefined && !isOurs(evidence.expect, group);
    const touchesForeign = (id: string, batch: Batch): boolean => {
        const sights = evidence.sightsOf(batch, id);
        return sights.length > 0 && sights.every(({ group, tags }) => isForeign(group ?? tags[groupKey]));
    };
    return {
        beforeCall: (call, batch) => {
            if (!/Tags$/.test(call.action)) {
                return;
            }
            const { Tags, Resources } = call.input;
            if (writingOf(call, tagKey) === undefined) {
                const tags = JSON.stringify(Tags) ?? "all tags";
                note("no other tags are touched", `${call.action} of ${tags} on ${Resources.join(", ")}`);
            }
            const writing = writingOf(call, tagKey);
            for (const id of writing === "demotion" || writing === "stripping" ? Resources : []) {
                const isLoose = ({ group, tags }: Sight) => group === undefined && tags[groupKey] === undefined;
                const sights = evidence.sightsOf(batch, id);
                const isOrphan = sights.length > 0 && sights.every(isLoose);
                if (exact && (isOrphan ? writing === "demotion" : writing === "stripping" && !sights.some(isLoose))) {
                    note("only an orphan loses its since, and with the tag", `${writing} of ${id}`);
                }
            }
            for (const id of Resources.filter((one: string) => touchesForeign(one, batch))) {
                const { tags, group = tags[groupKey] } = firstOf(evidence.sightsOf(batch, id));
                note("no other groups are touched", `${call.action} on ${id} of ${group}`);
            }
        },
        afterInvocation: ({ reports }) => {
            for (const { group } of reports) {
                if (!isOurs(evidence.expect, group) && !(electorateTag && group.startsWith(`${electorateTag}=`))) {
                    note("no other groups are touched", `an election in ${group}`);
                }
            }
        },
    };
}

/** Whether the program's policy allows a call; notes what it refuses. */
export function permitsWhatIsDone(evidence: Evidence, program: Program, note: Note): (call: Call) => boolean {
    const policy = rolePolicyOf(program);
    const reads = /^(autoscaling|ec2|cloudwatch):(Describe|Get)|^(sqs|logs):/;
    const writes = policy.Statement.flatMap(({ Action }) => Action).filter((action) => !reads.test(action));
    if (evidence.expect.dryRun && writes.length > 0) {
        note("a dry run may write nothing", `its role is allowed ${writes.join(", ")}`);
    }
    const place = { partition: "aws", region: "us-east-1", accountId };
    return (call) => {
        const requests = requestsIn(call, evidence.world.region, place);
        const refused = requests.filter((request) => !allows(policy, request));
        for (const { resource } of refused) {
            if (!evidence.isChangedSince(call.by?.batch?.start ?? 0)) {
                note("the policy allows what the function does", `it does not allow ${call.action} on ${resource}`);
            }
        }
        return refused.length === 0;
    };
}
