import type { Location } from "../../../election/stack/permissions";
import { found } from "../lists";
import type { Program } from "../stack/program";
import type { Call } from "./faults";
import { wildcard } from "./patterns";
import { groupKey, type Region } from "./region";

type Texts = string | string[];

/** A statement of an IAM policy, as far as it is known here. */
export interface Statement {
    Sid?: string;
    Effect: string;
    Principal?: Record<string, Texts> | "*";
    Action: Texts;
    Resource: Texts;
    Condition?: Record<string, Record<string, Texts>>;
}

export type Policy = { Version?: string; Statement: Statement[] };

export interface Request {
    action: string;
    /** ARN, or * for an action that takes no resource. */
    resource: string;
    /** Condition keys; one without a value isn't in the request. A service that calls for itself is `aws:PrincipalServiceName`. */
    context: Record<string, Texts | undefined>;
}

/**
 * Whether IAM would allow a request by these policies alone: those of the role that makes the request and of the resource,
 * in one account. A statement that denies beats all that allow.
 *
 * @throws if the policy holds anything that is not known here, whatever the request
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
 */
export function allows(policy: Policy | Policy[], request: Request): boolean {
    // Nothing here stops at the first answer: what isn't known is to be found with every request.
    const effects = [policy].flat().flatMap((one) => {
        refuseUnknown("elements", one, ["Version", "Statement"]);
        return one.Statement.map((statement) => (applies(statement, request) ? statement.Effect : "none"));
    });
    return effects.includes("Allow") && !effects.includes("Deny");
}

/** The requests that IAM sees when tags are written: one for each instance. */
export function requestsOf(
    action: "ec2:CreateTags" | "ec2:DeleteTags",
    ids: string[],
    keys: string[],
    groupOf: (id: string) => string | undefined,
    { partition, region, accountId }: Location,
): Request[] {
    return ids.map((id) => ({
        action,
        resource: `arn:${partition}:ec2:${region}:${accountId}:instance/${id}`,
        context: { "aws:ResourceTag/aws:autoscaling:groupName": groupOf(id), "aws:TagKeys": keys },
    }));
}

/** The policy of the function's role, as a program registers it. */
export const rolePolicyOf = ({ resources }: Program): Policy =>
    JSON.parse(resources.find(({ type }) => type === "aws:iam/rolePolicy:RolePolicy")?.inputs.policy);

/** The requests that IAM sees in a call to a region, with the groups that its instances' tags name now. */
export function requestsIn({ action, input }: Call, region: Region, place: Location): Request[] {
    if (action === "ec2:CreateTags" || action === "ec2:DeleteTags") {
        const keys = input.Tags?.map(({ Key }: { Key: string }) => Key);
        return requestsOf(action, input.Resources, keys, (id) => region.tags(id)[groupKey], place);
    }
    const groups = `arn:${place.partition}:autoscaling:${place.region}:${place.accountId}:autoScalingGroup`;
    const group = `${groups}:00000000-0000-0000-0000-000000000000:autoScalingGroupName/${input.AutoScalingGroupName}`;
    const resource = { "sns:Publish": input.TopicArn, "autoscaling:SetInstanceProtection": group }[action] ?? "*";
    return [{ action, resource, context: {} }];
}

/** Whether a program's policy allows a call to a region. */
export function permitsOf(program: Program, region: Region, place: Location): (call: Call) => boolean {
    const policy = rolePolicyOf(program);
    return (call) => requestsIn(call, region, place).every((request) => allows(policy, request));
}

function applies(statement: Statement, { action, resource, context }: Request): boolean {
    refuseUnknown("elements", statement, ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]);
    const { Effect, Principal, Action, Resource, Condition = {} } = statement;
    if (!["Allow", "Deny"].includes(Effect) || Action === undefined || Resource === undefined) {
        throw new Error(`not an Allow or a Deny with Action and Resource: ${JSON.stringify(statement)}`);
    }
    if (/\$\{|\\/.test(JSON.stringify(statement))) {
        throw new Error(`variables and backslashes are not known here: ${JSON.stringify(statement)}`);
    }
    const values = valuesOf(context);
    const conditions = Object.entries(Condition).flatMap(([operator, keys]) =>
        Object.entries(keys).map(([key, wanted]) => holds(operator, values(key), [wanted].flat())),
    );
    return [
        matchesPrincipal(Principal, values("aws:PrincipalServiceName")),
        [Action].flat().some((pattern) => wildcard(pattern.toLowerCase()).test(action.toLowerCase())),
        [Resource].flat().some((pattern) => matchesArn(pattern, resource)),
        ...conditions,
    ].every((fits) => fits);
}

function matchesPrincipal(principal: Statement["Principal"], callers: string[]): boolean {
    if (principal === undefined || principal === "*") {
        return true; // the role that has the policy, or any
    }
    const services = typeof principal === "object" ? principal : { [principal]: [] };
    refuseUnknown("principals", services, ["Service"]);
    return [services.Service].flat().some((service) => service !== undefined && callers.includes(service));
}

/** Whether a condition holds of a key's values in the request, which are none if the key isn't there. */
const operators: Record<string, (values: string[], wanted: string[]) => boolean> = {
    StringEquals: (values, wanted) => values.some((value) => wanted.includes(value)),
    StringLike: (values, wanted) => values.some((value) => wanted.some((pattern) => wildcard(pattern).test(value))),
    ArnEquals: (values, wanted) => values.some((value) => wanted.some((pattern) => matchesArn(pattern, value))),
    // Holds without the key, too, like every negated operator.
    ArnNotEquals: (values, wanted) => !values.some((value) => wanted.some((pattern) => matchesArn(pattern, value))),
    "ForAnyValue:StringEquals": (values, wanted) => values.some((value) => wanted.includes(value)),
    "ForAllValues:StringEquals": (values, wanted) => values.every((value) => wanted.includes(value)),
    Null: (values, wanted) => wanted.includes(String(values.length === 0)),
};

function holds(operator: string, values: string[], wanted: string[]): boolean {
    const isMet = found(operators[operator], `operators not known here: ${operator}`);
    if (values.length > 1 && /^(String|Arn)/.test(operator)) {
        throw new Error(`${operator} is for keys with one value, not ${JSON.stringify(values)}`);
    }
    return isMet(values, wanted);
}

/** A request's values of a condition key; IAM takes keys in any case, and no values for an absent key. */
function valuesOf(context: Request["context"]): (key: string) => string[] {
    const byKey = new Map(Object.entries(context).map(([key, values = []]) => [key.toLowerCase(), [values].flat()]));
    return (key) => byKey.get(key.toLowerCase()) ?? [];
}

/** Each of an ARN's six parts is matched for itself, so that no wildcard reaches into the next; the last may hold colons. */
function matchesArn(pattern: string, arn: string): boolean {
    const parts = (text: string) => text.match(/^(.*?):(.*?):(.*?):(.*?):(.*?):(.*)$/s)?.slice(1) ?? [];
    const given = parts(arn);
    const wanted = parts(pattern).map(wildcard);
    return pattern === "*" || (wanted.length > 0 && wanted.every((part, place) => part.test(given[place] ?? "\0")));
}

function refuseUnknown(what: string, given: object, known: string[]): void {
    const unknown = Object.keys(given).filter((key) => !known.includes(key));
    if (unknown.length > 0) {
        throw new Error(`${what} not known here: ${unknown.join(", ")}`);
    }
}
