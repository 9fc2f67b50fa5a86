// Where the trial takes place: account, region, subnets and instance type, read before anything is made.
import { AutoScaling } from "@aws-sdk/client-auto-scaling";
import {
    EC2,
    paginateDescribeInstanceTypeOfferings,
    paginateDescribeSubnets,
    type Subnet,
    type _InstanceType as TypeName,
} from "@aws-sdk/client-ec2";

export const size = 3;

/** Clients of one region. */
export interface Aws {
    ec2: EC2;
    autoScaling: AutoScaling;
    region: string;
}

export interface Site extends Aws {
    account: string;
    vpc: string;
    /** Ids of subnets whose zones have the instance type. */
    subnets: string[];
    type: TypeName;
    /** As the names of Amazon Linux's images have it. */
    architecture: "arm64" | "x86_64";
    /** Whether the console shows its newest lines. */
    hasConsole: boolean;
}

/**
 * Makes the clients. A call that AWS throttles or does not answer is repeated.
 *
 * @param given the region; undefined: the environment's or the profile's
 * @throws the SDK's error if it finds no region or no credentials
 */
export async function connect(given?: string): Promise<Aws> {
    const config = {
        ...(given ? { region: given } : {}),
        maxAttempts: 8,
        userAgentAppId: "leader-trial", // CloudTrail shows it
        requestHandler: { connectionTimeout: 5000, requestTimeout: 20_000, socketTimeout: 20_000 },
    };
    const ec2 = new EC2(config);
    const region = await ec2.config.region();
    await ec2.config.credentials();
    return { ec2, autoScaling: new AutoScaling(config), region };
}

/**
 * Reads what the trial needs to know of its place.
 *
 * @param wanted.subnets ids; empty: those of the default VPC
 * @throws an error of one sentence: no subnet, a type that the region lacks; or what AWS says
 */
export async function siteOf(aws: Aws, wanted: { type: string; subnets: string[] }): Promise<Site> {
    const type = wanted.type as TypeName;
    const zones = await zonesWith(aws, type);
    if (zones.size === 0) {
        throw new Error(`The region ${aws.region} has no instances of type ${type}: give another one with --type.`);
    }
    const all = await subnetsOf(aws, wanted.subnets);
    const usable = all.filter(({ AvailabilityZone }) => zones.has(AvailabilityZone));
    const [first] = usable;
    if (!first) {
        const why =
            all.length > 0
                ? `No subnet is in a zone that has ${type}: ${[...zones].join(", ")}`
                : `The region ${aws.region} has no default VPC with subnets`;
        throw new Error(`${why}: give one with --subnet.`);
    }
    const vpcs = new Set(all.map(({ VpcId }) => VpcId));
    if (vpcs.size > 1) {
        throw new Error(`The subnets are of several VPCs: ${[...vpcs].join(", ")}.`);
    }
    const { InstanceTypes: [found] = [] } = await aws.ec2.describeInstanceTypes({ InstanceTypes: [type] });
    return {
        ...aws,
        account: String(first.OwnerId),
        vpc: String(first.VpcId),
        subnets: unbalanceable(usable).map(({ SubnetId }) => String(SubnetId)),
        type,
        architecture: found?.ProcessorInfo?.SupportedArchitectures?.includes("arm64") ? "arm64" : "x86_64",
        hasConsole: found?.Hypervisor === "nitro",
    };
}

/**
 * Subnets between which the group has nothing to balance: a member in Standby would leave both others in one of two zones,
 * and the group would end one of them in the midst of a play.
 */
function unbalanceable(subnets: Subnet[]): Subnet[] {
    const zones = new Set(subnets.map(({ AvailabilityZone }) => AvailabilityZone));
    return zones.size >= size
        ? subnets
        : subnets.filter((one) => one.AvailabilityZone === subnets[0]?.AvailabilityZone);
}

/** Names of the zones that have an instance type. */
async function zonesWith({ ec2 }: Aws, type: string): Promise<Set<string | undefined>> {
    const zones = new Set<string | undefined>();
    const input = {
        LocationType: "availability-zone" as const,
        Filters: [{ Name: "instance-type", Values: [type] }],
    };
    for await (const { InstanceTypeOfferings = [] } of paginateDescribeInstanceTypeOfferings({ client: ec2 }, input)) {
        for (const { Location } of InstanceTypeOfferings) {
            zones.add(Location);
        }
    }
    return zones;
}

async function subnetsOf({ ec2 }: Aws, ids: string[]): Promise<Subnet[]> {
    const input = ids.length > 0 ? { SubnetIds: ids } : { Filters: [{ Name: "default-for-az", Values: ["true"] }] };
    const all: Subnet[] = [];
    for await (const { Subnets = [] } of paginateDescribeSubnets({ client: ec2 }, input)) {
        all.push(...Subnets);
    }
    return all;
}
