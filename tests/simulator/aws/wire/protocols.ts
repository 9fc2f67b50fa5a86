// AWS's wire protocols as the SDK speaks them: the query protocols of EC2, Auto Scaling and SNS, CloudWatch's JSON (or query, with an
// older SDK). Requests become the SDK's input; the SDK's output becomes an answer as long as AWS's, by sample-answers.ts.
import { extraFields, ordinaryTags } from "./sample-answers";

/** Services, and the versions of their APIs. */
const versions = { ec2: "2016-11-15", autoscaling: "2011-01-01", cloudwatch: "2010-08-01", sns: "2010-03-31" };
type Service = keyof typeof versions;

/** A request in the SDK's terms. */
export interface AwsRequest {
    service: Service;
    /** As the SDK's command is called, for example DescribeInstances. */
    action: string;
    // biome-ignore lint/suspicious/noExplicitAny: each action has its own input
    input: any;
    protocol: "ec2" | "query" | "json";
}

/**
 * Reads a request's body.
 *
 * @param target the header x-amz-target
 * @throws if the protocol or the service's version is not known here
 */
export function parseRequest(body: string, target: string | undefined): AwsRequest {
    if (target) {
        return { service: "cloudwatch", action: target.split(".")[1] ?? "", input: JSON.parse(body), protocol: "json" };
    }
    const tree: Tree = {};
    for (const [path, value] of new URLSearchParams(body)) {
        const names = path.split(".");
        const last = names.pop() ?? "";
        let parent = tree;
        for (const name of names) {
            parent[name] ??= {};
            parent = parent[name] as Tree;
        }
        parent[last] = value;
    }
    const { Action, Version, ...input } = tree;
    const service = (Object.keys(versions) as Service[]).find((name) => versions[name] === Version);
    if (!service) {
        throw new Error(`no protocol known here: ${body.slice(0, 200)}`);
    }
    return { service, action: String(Action), input: inputOf(input), protocol: service === "ec2" ? "ec2" : "query" };
}

interface Tree {
    [name: string]: Tree | string;
}

const numbers = ["MaxRecords", "MaxResults", "Period"];
const booleans = ["IncludeAllInstances", "ProtectedFromScaleIn"];

function inputOf(tree: Tree): object {
    const listOf = (items: Tree) =>
        // JavaScript has keys that are numbers in their order.
        Object.values(items).map((item) => (typeof item === "string" ? item : inputOf(item)));
    const entries = Object.entries(tree).map(([name, value]): [string, unknown] => {
        if (typeof value === "string") {
            return [name, numbers.includes(name) ? Number(value) : booleans.includes(name) ? value === "true" : value];
        }
        if (typeof value.member === "object") {
            return [name, listOf(value.member)];
        }
        // EC2 numbers a list's items without a word between, and calls the list by the singular.
        return "1" in value
            ? [name === "ResourceId" ? "Resources" : `${name}s`, listOf(value)]
            : [name, inputOf(value)];
    });
    return Object.fromEntries(entries);
}

/** Renders what the SDK's command returns as the body of AWS's answer, with all that an election doesn't read. */
export function renderAnswer({ service, action, protocol }: AwsRequest, output: object): string {
    if (protocol === "json") {
        return JSON.stringify(output, (field, value) => {
            const extra = extraFields[`.${field}`];
            return extra ? value.map((item: object) => ({ ...extra, ...item })) : value;
        });
    }
    const host = service === "cloudwatch" ? "monitoring" : service;
    const root = `<${action}Response xmlns="http://${host}.amazonaws.com/doc/${versions[service]}/">`;
    if (protocol === "ec2") {
        const body = fieldsOf(ec2Style, 1, "", output) || "\n    <return>true</return>";
        return `${root}\n    <requestId>59dbff89-35bd-4eac-99ed-be587ed81825</requestId>${body}\n</${action}Response>`;
    }
    const result = `\n  <${action}Result>${fieldsOf(queryStyle, 2, "", output)}\n  </${action}Result>`;
    const metadata = `\n  <ResponseMetadata>\n    <RequestId>7c6e177f-f082-11e1-ac58-3714b6e0e5e1</RequestId>`;
    return `${root}${result}${metadata}\n  </ResponseMetadata>\n</${action}Response>`;
}

/** Renders an error as the service words it. */
export function renderError({ protocol }: AwsRequest, code: string, message: string): string {
    if (protocol === "json") {
        return JSON.stringify({ __type: code, message });
    }
    const error = `<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message></Error>`;
    return protocol === "ec2"
        ? `<Response><Errors>${error}</Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>`
        : `<ErrorResponse>${error}<RequestId>ea966190-f9aa-478e-9ede-example</RequestId></ErrorResponse>`;
}

interface Style {
    indent: number;
    item: string;
    nameOf(field: string, value: unknown): string;
    rest: Map<string, string>;
}

const queryStyle: Style = { indent: 2, item: "member", nameOf: (field) => field, rest: new Map() };

const ec2Names: Record<string, string> = {
    BlockDeviceMappings: "blockDeviceMapping",
    Details: "details",
    Events: "eventsSet",
    Groups: "groupSet",
    InstanceStatuses: "instanceStatusSet",
    Instances: "instancesSet",
    Ipv6Addresses: "ipv6AddressesSet",
    PrivateIpAddresses: "privateIpAddressesSet",
    ProductCodes: "productCodes",
    PublicDnsName: "dnsName",
    PublicIpAddress: "ipAddress",
    SecurityGroups: "groupSet",
    StateTransitionReason: "reason",
};

const ec2Style: Style = {
    indent: 4,
    item: "item",
    nameOf: (field, value) => {
        if (field === "State" && typeof value === "object") {
            return "instanceState";
        }
        const lower = field.slice(0, 1).toLowerCase() + field.slice(1);
        return ec2Names[field] ?? (Array.isArray(value) ? `${lower.replace(/s$/, "")}Set` : lower);
    },
    rest: new Map(),
};

/** The fields of an object, and those that AWS's answer has beside them. */
function fieldsOf(style: Style, depth: number, path: string, value: object): string {
    const render = (fields: [string, unknown][]) =>
        fields.map(([field, content]) => element(style, depth, `${path}.${field}`, field, content)).join("");
    // Rendered once for each set of fields, because a large answer repeats it thousands of times.
    const key = `${path} ${Object.keys(value)}`;
    const missing = () => Object.entries(extraFields[path] ?? {}).filter(([field]) => !(field in value));
    const rest = style.rest.get(key) ?? render(missing());
    style.rest.set(key, rest);
    return render(Object.entries(value)) + rest;
}

function element(style: Style, depth: number, path: string, field: string, value: unknown): string {
    if (value === undefined) {
        return "";
    }
    const line = `\n${" ".repeat(style.indent * depth)}`;
    const name = style.nameOf(field, value);
    if (!Array.isArray(value)) {
        return `${line}<${name}>${contentOf(style, depth, path, value)}</${name}>`;
    }
    const items = [...value, ...(field === "Tags" ? ordinaryTags : [])].map(
        (item) => `${line}  <${style.item}>${contentOf(style, depth + 1, path, item)}</${style.item}>`,
    );
    return items.length === 0 ? `${line}<${name}/>` : `${line}<${name}>${items.join("")}${line}</${name}>`;
}

function contentOf(style: Style, depth: number, path: string, value: unknown): string {
    return typeof value === "object" && value !== null
        ? `${fieldsOf(style, depth + 1, path, value)}\n${" ".repeat(style.indent * depth)}`
        : escapeXml(String(value));
}

const escapeXml = (text: string): string => text.replace(/[&<>]/g, (one) => `&#${one.charCodeAt(0)};`);
