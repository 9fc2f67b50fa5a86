import type { Location } from "../../../election/stack/permissions";
import type { Program } from "../stack/program";
import type { Call } from "./faults";
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

export interface Policy {
    Version?: string;
    Statement: Statement[];
}

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
export function rolePolicyOf({ resources }: Program): Policy {
    return JSON.parse(resources.find(({ type }) => type === "aws:iam/rolePolicy:RolePolicy")?.inputs.policy);
}

/** The requests that IAM sees in a call to a region, with the groups that its instances' tags name now. */
export function requestsIn({ action, input }: Call, region: Region, place: Location): Request[] {
    if (action === "ec2:CreateTags" || action === "ec2:DeleteTags") {
        const keys = input.Tags?.map(({ Key }: { Key: string }) => Key);
        return requestsOf(action, input.Resources, keys, (id) => region.tags(id)[groupKey], place);
    }
    if (action === "sns:Publish") {
        return [{ action, resource: input.TopicArn, context: {} }];
    }
    const ofGroup = `arn:${place.partition}:autoscaling:${place.region}:${place.accountId}:autoScalingGroup:${uuid}`;
    const resource = action.startsWith("autoscaling:Set")
        ? `${ofGroup}:autoScalingGroupName/${input.AutoScalingGroupName}`
        : "*";
    return [{ action, resource, context: {} }];
}

/** Whether a program's policy allows a call to a region. */
export function permitsOf(program: Program, region: Region, place: Location): (call: Call) => boolean {
    const policy = rolePolicyOf(program);
    return (call) => requestsIn(call, region, place).every((request) => allows(policy, request));
}

const uuid = "00000000-0000-0000-0000-000000000000";

function applies(statement: Statement, { action, resource, context }: Request): boolean {
    refuseUnknown("elements", statement, ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]);
    const { Effect, Principal, Action, Resource, Condition = {} } = statement;
    if (!["Allow", "Deny"].includes(Effect) || Action === undefined || Resource === undefined) {
        throw new Error(`not an Allow or a Deny with Action and Resource: ${JSON.stringify(statement)}`);
    }
    if (JSON.stringify(statement).includes("${")) {
        throw new Error(`variables are not known here: ${JSON.stringify(statement)}`);
    }
    const values = valuesOf(context);
    const conditions = Object.entries(Condition).flatMap(([operator, keys]) =>
        Object.entries(keys).map(([key, wanted]) => holds(operator, [wanted].flat(), values(key))),
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
    if (typeof principal !== "object") {
        throw new Error(`principals not known here: ${principal}`);
    }
    refuseUnknown("principals", principal, ["Service"]);
    return [principal.Service].flat().some((service) => service !== undefined && callers.includes(service));
}

/** Whether one condition holds of a key's values in the request: none, if the key isn't there. */
function holds(operator: string, wanted: string[], values: string[]): boolean {
    switch (operator) {
        case "StringLike":
            return single(operator, values).some((value) => wanted.some((pattern) => wildcard(pattern).test(value)));
        case "ArnEquals":
            return single(operator, values).some((value) => wanted.some((pattern) => matchesArn(pattern, value)));
        case "ArnNotEquals": // holds without the key, too, like every negated operator
            return !holds("ArnEquals", wanted, values);
        case "StringEquals":
            return single(operator, values).some((value) => wanted.includes(value));
        case "ForAnyValue:StringEquals":
            return values.some((value) => wanted.includes(value));
        case "ForAllValues:StringEquals":
            return values.every((value) => wanted.includes(value));
        case "Null":
            return wanted.includes(String(values.length === 0));
        default:
            throw new Error(`operator not known here: ${operator}`);
    }
}

/** A request's values of a condition key; IAM takes keys in any case, and no values for an absent key. */
function valuesOf(context: Request["context"]): (key: string) => string[] {
    const byKey = new Map(Object.entries(context).map(([key, values = []]) => [key.toLowerCase(), [values].flat()]));
    return (key) => byKey.get(key.toLowerCase()) ?? [];
}

function single(operator: string, values: string[]): string[] {
    if (values.length > 1) {
        throw new Error(`${operator} is for keys with one value, not ${JSON.stringify(values)}`);
    }
    return values;
}

/** Each of an ARN's six parts is matched for itself, so that no wildcard reaches into the next; the last may hold colons. */
function matchesArn(pattern: string, arn: string): boolean {
    const parts = (text: string) => text.match(/^(.*?):(.*?):(.*?):(.*?):(.*?):(.*)$/s)?.slice(1);
    const wanted = parts(pattern);
    return (
        pattern === "*" || (wanted?.every((part, place) => wildcard(part).test(parts(arn)?.[place] ?? "\0")) ?? false)
    );
}

/** In a pattern, * is anything and ? is one character. */
function wildcard(pattern: string): RegExp {
    const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
    return new RegExp(`^${source.replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");
}

function refuseUnknown(what: string, found: object, known: string[]): void {
    const unknown = Object.keys(found).filter((key) => !known.includes(key));
    if (unknown.length > 0) {
        throw new Error(`${what} not known here: ${unknown.join(", ")}`);
    }
}
